"""Merging isolated entries with what profiles of networks say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.statistics import low_run
from profiler_server.latency_model.design import (
    INTERVAL_SIGMAS,
    LEAST_RELATIVE_ERROR,
    Array,
    Priced,
)
from profiler_server.latency_model.in_network import (
    Profiled,
    at_resolution,
    in_network_estimates,
)
from profiler_server.latency_model.merging import merge

ISOLATED = {key: Priced(ms, 0.0) for key, ms in {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}.items()}


def test_a_common_factor_is_taken_out_of_in_network_values() -> None:
    inside = {key: Priced(1.1 * one.value_ms, 0.01) for key, one in ISOLATED.items()}
    del inside["d"]
    inside["e"] = Priced(11.0, 0.02)
    merged = merge(ISOLATED, inside)
    assert merged["a"].value_ms == pytest.approx(1.0)
    assert merged["c"].value_ms == pytest.approx(4.0)
    assert merged["d"] == ISOLATED["d"]
    assert merged["e"].value_ms == pytest.approx(10.0)
    assert merged["e"].relative_error == 0.02


def test_values_that_differ_are_weighted_by_their_errors() -> None:
    inside = {"a": Priced(1.0, 0.03), "b": Priced(2.0, 0.03), "c": Priced(4.1, 0.03)}
    # The factor is 1; both errors are 0.03 (the isolated one's least): the plain mean.
    merged = merge(ISOLATED, inside)
    assert merged["c"].value_ms == pytest.approx(4.0 * 1.025**0.5)
    assert merged["c"].relative_error == pytest.approx(0.03 / 2**0.5)


def test_values_that_contradict_each_other_make_a_wide_entry() -> None:
    inside = {"a": Priced(1.0, 0.03), "b": Priced(2.0, 0.03), "c": Priced(8.0, 0.03)}
    merged = merge(ISOLATED, inside)["c"]
    assert merged.value_ms == pytest.approx(4.0 * 2**0.5)
    # Half of what they differ by: either is a standard error away.
    assert merged.relative_error == pytest.approx(math.log(2) / 2)


def test_too_few_shared_operators_tell_no_factor() -> None:
    inside = {"a": Priced(1.5, 0.0), "e": Priced(9.0, 0.0)}
    assert merge(ISOLATED, inside) == {**ISOLATED, "e": inside["e"]}


PRICES = st.builds(Priced, st.floats(1e-3, 10.0), st.floats(0.0, 1.0))


@settings(deadline=None)
@given(PRICES, PRICES)
def test_a_worse_value_is_heard_and_never_prevails(alone: Priced, inside: Priced) -> None:
    # Three others, sure of themselves and the same both ways: the factor is 1.
    others = {key: Priced(1.0, 0.0) for key in "abc"}
    merged = merge({**others, "x": alone}, {**others, "x": inside})["x"]
    low, high = sorted((alone.value_ms, inside.value_ms))
    assert low * (1 - 1e-9) <= merged.value_ms <= high * (1 + 1e-9)
    first = math.hypot(alone.relative_error, LEAST_RELATIVE_ERROR)
    second = max(inside.relative_error, LEAST_RELATIVE_ERROR / 10)
    surer = alone if first < second else inside
    off = abs(math.log(merged.value_ms / surer.value_ms))
    assert off <= merged.relative_error * (1 + 1e-9)
    if abs(math.log(alone.value_ms / inside.value_ms)) <= math.hypot(first, second):
        assert merged.relative_error <= min(first, second) * (1 + 1e-9)


def test_a_profile_of_whole_microseconds_is_no_better_than_they_are() -> None:
    """A classifier of 2.32 us alone was seen as 2 us inside, at a factor of 1.24."""
    isolated = {"a": Priced(0.1, 0.01), "b": Priced(0.2, 0.01), "c": Priced(0.3, 0.01)}
    seen = {key: Priced(1.24 * one.value_ms, 0.01) for key, one in isolated.items()}
    low_ms, high_ms = at_resolution(0.002, 0.002, 0.002, kernels=2)
    seen["classifier"] = Priced.of_entry(0.002, low_ms, high_ms, 100)
    merged = merge({**isolated, "classifier": Priced(0.00232, 0.01)}, seen)["classifier"]
    assert merged.value_ms == pytest.approx(0.00232, rel=0.01)
    low_ms, high_ms = merged.interval_ms()
    assert low_ms < 0.00232 < high_ms


#: us, of each operator's kernels
KERNELS = st.lists(st.lists(st.floats(0.3, 30.0), min_size=1, max_size=4), min_size=3, max_size=12)


@settings(deadline=None, max_examples=50)
@given(KERNELS, st.floats(0.9, 1.6), st.integers(0, 2**32 - 1))
def test_an_entry_is_not_harmed_by_a_coarse_profile(
    operators: list[list[float]], factor: float, seed: int
) -> None:
    """What is known alone stays true, whatever whole microseconds say of it inside networks."""
    rng = np.random.default_rng(seed)
    isolated = {str(at): Priced(sum(us) / 1000, 0.01) for at, us in enumerate(operators)}
    profiled = [_profiled(operators, factor, rng) for _ in range(2)]
    inside: dict[str, Priced] = {}
    for key, found in in_network_estimates(profiled).items():
        ends = at_resolution(found.value_ms, found.low_ms, found.high_ms, len(operators[int(key)]))
        if found.value_ms > 0:
            inside[key] = Priced.of_entry(found.value_ms, *ends, found.visits)
    for key, entry in merge(isolated, inside).items():
        low_ms, high_ms = entry.interval_ms()
        assert low_ms <= isolated[key].value_ms <= high_ms
        off = abs(math.log(entry.value_ms / isolated[key].value_ms))
        assert off <= INTERVAL_SIGMAS * LEAST_RELATIVE_ERROR


def _profiled(operators: list[list[float]], factor: float, rng: np.random.Generator) -> Profiled:
    """Ten visits of one network on a clock that ticks in us, as a host's runner reads it."""
    visits = []
    for _ in range(10):
        runs = np.zeros((20, len(operators)))
        for at, kernels in enumerate(operators):
            for us in kernels:
                runs[:, at] += _ticks(us * factor, rng, 20)
        visits.append(low_run(runs))
    return Profiled.of(tuple(map(str, range(len(operators)))), np.sort(np.array(visits).T))


def _ticks(us: float, rng: np.random.Generator, runs: int) -> Array:
    begins = rng.uniform(0.0, 1.0, runs)
    return np.asarray(np.floor(begins + us) - np.floor(begins))
