import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from netspec.statistics import (
    Estimate,
    VisitStatistics,
    _kept_weights,
    estimate,
    estimate_each,
)


def visit(p5_us: float) -> VisitStatistics:
    return VisitStatistics(
        count=10,
        min_us=0,
        p5_us=p5_us,
        median_us=p5_us,
        p95_us=p5_us,
        mean_us=p5_us,
        std_us=0,
    )


def test_statistics_by_hand() -> None:
    # 0, 10, ... 1000 in another order: the 5th percentile is the 5th of 100 gaps.
    runs = np.arange(101.0)[::-1] * 10
    held = VisitStatistics.of(runs)
    assert (held.count, held.min_us, held.p5_us) == (101, 0.0, 50.0)
    assert (held.median_us, held.p95_us, held.mean_us) == (500.0, 950.0, 500.0)
    # The population variance of 0..n-1 is (n^2 - 1) / 12.
    assert held.std_us == pytest.approx(10 * np.sqrt((101**2 - 1) / 12))


def test_the_low_percentile_is_a_run_and_the_others_interpolate() -> None:
    held = VisitStatistics.of(np.array([200.0, 100.0]))
    assert (held.p5_us, held.median_us, held.p95_us) == pytest.approx((100.0, 150.0, 195.0))
    assert held.std_us == 50.0


def test_one_run_is_enough() -> None:
    held = VisitStatistics.of(np.array([7.0]))
    assert {held.min_us, held.p5_us, held.median_us, held.p95_us, held.mean_us} == {7.0}
    assert held.std_us == 0.0


@pytest.mark.parametrize("change", [{"count": 0}, {"p5_us": -1.0}, {"mean_us": float("inf")}])
def test_impossible_statistics_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        VisitStatistics.model_validate({**visit(1.0).model_dump(), **change})


def test_estimate_is_the_trimmed_mean_of_visits_in_ms() -> None:
    # Of 20 visits the lowest two and the highest five do not count: the mean of 3 to 15 ms is 9 ms.
    visits = [visit(1000 * ms) for ms in (*range(11, 16), *range(1, 11), 900, 16, 700, 18, 19)]
    held = estimate(visits)
    assert held.value_ms == pytest.approx(9.0)
    assert held.visits == 20
    assert 3.0 <= held.low_ms < held.value_ms < held.high_ms <= 900.0


def test_a_visit_counts_as_far_as_it_is_not_trimmed() -> None:
    # Of 2 visits, a tenth of all is cut from the lower and a quarter of all from the higher:
    # (0.4 * 1 + 0.25 * 3) / 0.65 ms.
    assert estimate([visit(3000), visit(1000)]).value_ms == pytest.approx(1.15 / 0.65)


def test_entries_add_up() -> None:
    """Two operators and the network of both, measured at the same speeds."""
    speeds = np.random.default_rng(0).uniform(1, 1.2, 40)
    parts = [estimate([visit(us * speed) for speed in speeds]).value_ms for us in (100, 1000)]
    whole = estimate([visit(1100 * speed) for speed in speeds]).value_ms
    assert sum(parts) == pytest.approx(whole)


def test_one_visit_is_its_own_interval() -> None:
    held = estimate([visit(1500)])
    assert (held.value_ms, held.low_ms, held.high_ms) == (1.5, 1.5, 1.5)


def test_no_visit_is_no_entry() -> None:
    with pytest.raises(ValueError, match="at least one visit"):
        estimate([])


@given(
    times=st.lists(st.floats(1, 1e6), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=50, deadline=None)
def test_an_estimate_lies_in_its_interval_whatever_the_order(
    times: list[float], order: random.Random
) -> None:
    held = estimate([visit(time) for time in times])
    shuffled = list(times)
    order.shuffle(shuffled)
    assert estimate([visit(time) for time in shuffled]) == held
    assert held.low_ms <= held.value_ms <= held.high_ms
    assert min(times) / 1000 <= held.low_ms
    assert held.high_ms <= max(times) / 1000


def test_intervals_narrow_with_visits() -> None:
    rng = np.random.default_rng(0)
    times = rng.normal(1000, 50, 200)
    few, many = (estimate([visit(t) for t in times[:count]]) for count in (8, 200))
    assert many.high_ms - many.low_ms < few.high_ms - few.low_ms


def trimmed_mean(values: npt.NDArray[np.float64]) -> float:
    """Of each value as many twentieths as it takes, so that every number of values can be cut."""
    fine = np.repeat(np.sort(values), 20)
    return float(fine[len(fine) // 10 : len(fine) - len(fine) // 4].mean())


def bootstrap_by_the_book(times_us: list[float]) -> Estimate:
    """One subject at a time, every resample drawn and sorted."""
    values_ms = np.array(sorted(times_us)) / 1000
    samples = np.random.default_rng(0).choice(values_ms, size=(500, len(values_ms)))
    low, high = np.percentile([trimmed_mean(one) for one in samples], (2.5, 97.5))
    value = trimmed_mean(values_ms)
    return Estimate(value, min(float(low), value), max(float(high), value), len(times_us))


@given(
    subjects=st.lists(st.lists(st.floats(1, 1e6), min_size=1, max_size=40), min_size=1, max_size=12)
)
@settings(max_examples=50, deadline=None)
def test_subjects_together_have_the_very_estimates_of_each_alone(
    subjects: list[list[float]],
) -> None:
    sorted_times = [np.array(sorted(times)) for times in subjects]
    together = estimate_each(sorted_times)
    assert together == [estimate_each([times])[0] for times in sorted_times]
    for held, times in zip(together, subjects, strict=True):
        book = bootstrap_by_the_book(times)
        assert held.visits == book.visits
        # The book adds up in another order.
        found = [held.value_ms, held.low_ms, held.high_ms]
        assert found == pytest.approx([book.value_ms, book.low_ms, book.high_ms], rel=1e-12)


def test_a_subject_without_visits_spoils_the_batch() -> None:
    with pytest.raises(ValueError, match="at least one visit"):
        estimate_each([np.array([1.0]), np.array([])])


def test_what_is_kept_between_estimates_is_bounded() -> None:
    """A long-lived server sees every number of visits; each has [500, visits] weights."""
    estimate_each([np.ones(128), np.ones(129), np.ones(2_000)])
    kept = _kept_weights.cache_info().currsize
    estimate_each([np.ones(128), np.ones(129), np.ones(3_000)])
    assert 1 <= kept == _kept_weights.cache_info().currsize
