"""When a request is sent again, and after how long: with jitter, and never before it may be."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from httpx2 import Response

#: longest pauses (s) between tries of an idempotent request that got no answer
RETRY_PAUSES_S = (0.2, 0.8, 2.0)
#: a server that wants to be left alone for longer (s) is answered by giving up
LONGEST_RETRY_AFTER_S = 30.0
#: too many requests; gateways without a server behind them; a server without its database
PASSING = frozenset({429, 502, 503, 504})

#: a number between two bounds
Draw = Callable[[float, float], float]


def is_passing(answer: Response) -> bool:
    """Whether the same request may be answered better in a moment."""
    return answer.status_code in PASSING and retry_after_s(answer) <= LONGEST_RETRY_AFTER_S


def pause_s(longest_s: float, answer: Response | None, draw: Draw = random.uniform) -> float:
    """How long (s) to wait before the next try.

    Half to all of the longest pause, so that clients which failed together do not come back
    together; after the time that the answer's `Retry-After` names (RFC 9110, section 10.2.3).

    Args:
        longest_s: pause of this try.
        answer: None: nobody answered.
        draw: a random number between two bounds.
    """
    asked_s = 0.0 if answer is None else retry_after_s(answer)
    return asked_s + draw(longest_s / 2, longest_s)


def retry_after_s(answer: Response) -> float:
    """The seconds until what `Retry-After` names, a number or a date; 0 if it is neither."""
    header = answer.headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        named = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    # "-0000" says UTC without naming it
    named = named if named.tzinfo is not None else named.replace(tzinfo=UTC)
    return max(0.0, (named - datetime.now(UTC)).total_seconds())
