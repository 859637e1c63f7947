from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.statistics import Estimate, estimate_each
from profiler_server.entries.consensus import TOLERANCE, consensus


def said(*values_ms: float, half: float = 0.0) -> list[Estimate]:
    return [Estimate(ms, ms * (1 - half), ms * (1 + half), 10) for ms in values_ms]


def test_one_device_is_taken_at_its_word() -> None:
    alone = Estimate(2.0, 1.8, 2.3, 10)
    found = consensus([alone])
    assert (found.value_ms, found.low_ms, found.high_ms) == (2.0, 1.8, 2.3)
    assert (found.counted, found.holds) == ((True,), True)


def test_devices_that_agree_have_one_voice_each() -> None:
    found = consensus(said(1.0, 1.02, 1.04))
    assert found.value_ms == pytest.approx(1.02)
    # Student's quantile at 2 degrees of freedom, 4.303, times 0.02 over the root of 3; but none
    # of them can be off by more than 5 %: neither 1.04 from below nor 1.00 from above.
    assert found.low_ms == pytest.approx(1.04 / 1.05)
    assert found.high_ms == pytest.approx(1 / 0.95)
    close = consensus(said(1.0, 1.001, 1.002))
    half = 4.303 * 0.001 / 3**0.5
    assert close.low_ms == pytest.approx(1.001 - half, rel=1e-4)
    assert close.high_ms == pytest.approx(1.001 + half, rel=1e-4)


def test_the_interval_holds_what_the_devices_own_intervals_do() -> None:
    found = consensus(said(1.0, 1.0, 1.0, half=0.03))
    assert found.high_ms - found.value_ms == pytest.approx(0.03 / 3**0.5)


@given(
    lie=st.floats(0.0, 1e6) | st.floats(0.9, 1.1),
    place=st.integers(0, 2),
    ms=st.floats(0.05, 50.0),
)
def test_one_of_three_devices_moves_the_others_by_2_percent_at_most(
    lie: float, place: int, ms: float
) -> None:
    devices = said(ms, ms)
    devices.insert(place, said(ms * lie)[0])
    found = consensus(devices)
    assert found.holds
    assert abs(found.value_ms / ms - 1) <= TOLERANCE / 3 + 1e-9 <= 0.02
    assert found.low_ms <= ms * (1 + 1e-9)
    assert found.high_ms >= ms * (1 - 1e-9)


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ((1.0, 1.10), True),
        ((1.0, 1.11), False),
        ((1.0, 1000.0), False),
        # One microsecond is what a phone's runner can tell apart.
        ((0.002, 0.004), True),
        ((0.0, 0.0), True),
        ((1.0, 1.0, 2.0, 2.0), False),
        ((1.0, 1.0, 1.0, 2.0), True),
        ((1.0, 2.0, 3.0), False),
    ],
)
def test_without_a_majority_nothing_holds(values: tuple[float, ...], *, holds: bool) -> None:
    found = consensus(said(*values))
    assert found.holds is holds
    assert min(values) <= found.low_ms <= found.value_ms <= found.high_ms <= max(values) or holds


@pytest.mark.parametrize(("count", "lie"), [(2, 1.0), (3, 1.0), (3, 1.04), (3, 1000.0)])
def test_the_interval_holds_for_the_devices_of_the_target(count: int, lie: float) -> None:
    """Phones that differ by 1 %, with visits that differ by 2 %; the first one lies."""
    rng = np.random.default_rng(0)
    within = 0
    for _ in range(200):
        centres_us = 1000 * (1 + 0.01 * rng.standard_normal(count))
        centres_us[0] *= lie
        visits_us = centres_us[:, None] * (1 + 0.02 * rng.standard_normal((count, 10)))
        found = consensus(estimate_each(list(np.sort(visits_us))))
        # Of ten the trimmed mean is a bit below the mean.
        within += found.holds and found.low_ms <= 0.996 <= found.high_ms
    assert within / 200 >= 0.93
