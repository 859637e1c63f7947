"""How many requests a token may make: a bucket of requests that fills steadily.

Each process counts for itself, so behind a proxy that spreads requests evenly N replicas
allow N times the rate. Source of the headers: draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

#: buckets kept at most; full ones are dropped first, since a new one is full too
_MOST_BUCKETS = 10_000


@dataclass(frozen=True)
class Allowance:
    """What is left to a token."""

    allowed: bool
    #: whole requests left at once
    remaining: int
    #: seconds until the bucket is full; for a refused request, until the next one is allowed
    wait_s: int


class RateLimit:
    """Token buckets.

    Args:
        per_s: requests a second in the long run.
        burst: requests at once after a rest.
        clock: seconds, monotonic.
    """

    def __init__(
        self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        #: requests left, and when that was
        self._buckets: dict[str, tuple[float, float]] = {}
        self.policy = f'"token";q={burst};w={math.ceil(burst / per_s)}'

    def peek(self, token_id: str) -> Allowance:
        """What `take` would say now; takes nothing."""
        level = self._level(token_id, self._clock())
        return self._allowance(level, allowed=level >= 1)

    def take(self, token_id: str) -> Allowance:
        """Takes one request out of the token's bucket."""
        now = self._clock()
        level = self._level(token_id, now)
        allowed = level >= 1
        if allowed:
            level -= 1
        if token_id not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
            self._forget(now)
        self._buckets[token_id] = (level, now)
        return self._allowance(level, allowed=allowed)

    def _level(self, token_id: str, now: float) -> float:
        level, since = self._buckets.get(token_id, (float(self._burst), now))
        return min(float(self._burst), level + (now - since) * self._per_s)

    def _allowance(self, level: float, *, allowed: bool) -> Allowance:
        wanted = self._burst - level if allowed else 1 - level
        return Allowance(allowed, int(level), math.ceil(wanted / self._per_s))

    def _forget(self, now: float) -> None:
        def fills(bucket: tuple[float, float]) -> bool:
            level, since = bucket
            return level + (now - since) * self._per_s < self._burst

        kept = {token: bucket for token, bucket in self._buckets.items() if fills(bucket)}
        self._buckets = kept if len(kept) < _MOST_BUCKETS else {}
