"""When a delivery that failed is sent again, and when to stop."""

from __future__ import annotations

import random
from datetime import timedelta

#: attempts at one delivery, over a little more than two days
MOST_ATTEMPTS = 12
#: a webhook of which nothing was delivered for so long is disabled
DISABLED_AFTER = timedelta(days=5)
_FIRST_S, _GROWTH, _LONGEST_S = 5.0, 4.0, 43_200.0
#: share of a pause by which it differs at random: what failed together does not come back together
_JITTER = 0.2


def pause_s(attempts: int) -> float:
    """Seconds until the next attempt, after so many that failed.

    Raises:
        ValueError: there was no attempt.
    """
    if attempts < 1:
        raise ValueError(f"expected at least 1 attempt, got {attempts}")
    pause = min(_LONGEST_S, _FIRST_S * _GROWTH ** (attempts - 1))
    return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
