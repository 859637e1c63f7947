"""A pause that a stop or a cancelled lease ends."""

from __future__ import annotations

import time
from collections.abc import Callable

#: `go_on` is asked so often, s
_LOOK_EVERY_S = 0.5


def pause(
    seconds: float,
    go_on: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return after so many seconds, or soon after `go_on` says no."""
    until = clock() + seconds
    while go_on() and (remaining_s := until - clock()) > 0:
        sleep(min(remaining_s, _LOOK_EVERY_S))
