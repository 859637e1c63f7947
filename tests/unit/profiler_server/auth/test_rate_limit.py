from __future__ import annotations

import pytest

from profiler_server.auth import rate_limit
from profiler_server.auth.rate_limit import Allowance, RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    limit = RateLimit(per_s=2.0, burst=3, clock=clock)
    assert limit.policy == '"token";q=3;w=2'
    assert [limit.take("a") for _ in range(3)] == [
        Allowance(allowed=True, remaining=2, wait_s=1),
        Allowance(allowed=True, remaining=1, wait_s=1),
        Allowance(allowed=True, remaining=0, wait_s=2),
    ]
    assert limit.take("a") == Allowance(allowed=False, remaining=0, wait_s=1)
    assert limit.take("b").allowed
    # Half a request has come back: not enough.
    clock.now = 0.25
    assert not limit.take("a").allowed
    clock.now = 0.5
    assert limit.take("a") == Allowance(allowed=True, remaining=0, wait_s=2)
    # A long rest gives no more than the bucket holds.
    clock.now = 1_000.0
    assert limit.take("a").remaining == 2


def test_full_buckets_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MOST_BUCKETS", 2)
    clock = Clock()
    limit = RateLimit(per_s=1.0, burst=2, clock=clock)
    limit.take("rested")
    clock.now = 1.0
    limit.take("busy")
    limit.take("busy")
    limit.take("new")
    assert set(limit._buckets) == {"busy", "new"}
    assert not limit.take("busy").allowed
