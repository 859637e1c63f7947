from __future__ import annotations

import numpy as np
import pytest

from profiler_server.latency_model.in_network import (
    Profiled,
    at_resolution,
    in_network_estimates,
)


def test_the_estimate_of_visits_and_the_mean_of_places() -> None:
    # 20 visits: the mean of the 3rd to the 15th is 1008.
    rising = np.arange(1000.0, 1020.0)
    first = Profiled.of(("a", "b", "a"), np.stack([rising, np.full(20, 50.0), rising + 100]))
    second = Profiled.of(("b", "c"), np.stack([np.full(20, 70.0), np.full(20, 5.0)]))
    found = in_network_estimates([first, second])
    assert found["a"].value_ms == pytest.approx((1.008 + 1.108) / 2)
    assert (found["a"].visits, found["a"].appearances) == (40, 2)
    assert found["b"].value_ms == pytest.approx(0.060)
    # Two places 20 us apart: a standard deviation of 14.1 us, of the mean 10 us.
    assert found["b"].high_ms - found["b"].value_ms == pytest.approx(1.96 * 0.010)
    assert found["b"].value_ms - found["b"].low_ms == pytest.approx(1.96 * 0.010)
    # One place whose visits agree.
    assert [found["c"].low_ms, found["c"].value_ms, found["c"].high_ms] == pytest.approx(
        [0.005] * 3
    )


def test_an_interval_does_not_go_below_nothing() -> None:
    apart = [Profiled.of(("a",), np.array([[us]])) for us in (1.0, 1000.0)]
    assert in_network_estimates(apart)["a"].low_ms == 0.0


def test_no_number_of_visits_is_finer_than_the_profilers_clock() -> None:
    assert at_resolution(0.005, 0.005, 0.005, kernels=3) == pytest.approx((0.002, 0.008))
    # Both parts count, and nothing is below 0.
    assert at_resolution(0.010, 0.006, 0.013, kernels=3)[0] == pytest.approx(0.005)
    assert at_resolution(0.010, 0.006, 0.014, kernels=3)[1] == pytest.approx(0.015)
    assert at_resolution(0.002, 0.002, 0.002, kernels=3)[0] == 0.0


def test_nothing_was_profiled() -> None:
    assert in_network_estimates([]) == {}
