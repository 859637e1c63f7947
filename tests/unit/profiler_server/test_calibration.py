from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.wire import CalibrationNetwork
from profiler_server.tables.calibration import fit


def networks(*pairs: tuple[float, float]) -> list[CalibrationNetwork]:
    """Networks from pairs of sum and measured latency, in ms."""
    return [
        CalibrationNetwork(
            name=str(index), subject_hash=f"{index:064x}", sum_ms=total, measured_ms=measured
        )
        for index, (total, measured) in enumerate(pairs)
    ]


def test_one_network_fits_exactly_and_says_nothing_of_others() -> None:
    calibration = fit("int8", networks((4.0, 5.0)))
    assert calibration.scale == pytest.approx(1.25)
    assert calibration.predict_ms(8.0) == pytest.approx(10.0)
    assert calibration.held_out is None
    assert calibration.precision == "int8"


def test_relative_error_weighs_small_and_large_networks_alike() -> None:
    # ratios 1/2 and 1: scale = 1.5 / 1.25 = 1.2, whatever the sizes
    for size in (1.0, 1000.0):
        calibration = fit("float32", networks((1.0, 2.0), (size, size)))
        assert calibration.scale == pytest.approx(1.2)
        held_out = calibration.held_out
        assert held_out is not None
        # fitted on the second alone: 1 * 1/2 - 1; on the first alone: 2 * 1 - 1
        assert held_out.networks == 2
        assert held_out.mape_percent == pytest.approx(75.0)
        assert held_out.bias_percent == pytest.approx(25.0)
        assert held_out.worst_percent == pytest.approx(100.0)


def test_three_networks_by_hand() -> None:
    held_out = fit("float32", networks((1.0, 1.0), (1.0, 1.0), (1.0, 2.0))).held_out
    assert held_out is not None
    # without a 1: s = 1.5 / 1.25 = 1.2, +20 % twice; without the 1/2: s = 1, -50 %
    assert held_out.mape_percent == pytest.approx(30.0)
    assert held_out.bias_percent == pytest.approx(-10.0 / 3)
    assert held_out.worst_percent == pytest.approx(50.0)


latency_ms = st.floats(0.01, 1000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(latency_ms, latency_ms), min_size=1, max_size=8))
def test_no_other_scale_has_a_smaller_error(pairs: list[tuple[float, float]]) -> None:
    scale = fit("float32", networks(*pairs)).scale
    sums, measured = np.array(pairs).T

    def loss(factor: float) -> float:
        return float((((factor * sums - measured) / measured) ** 2).sum())

    for other in (scale * 0.99, scale * 1.01):
        assert loss(scale) <= loss(other)


@settings(max_examples=50, deadline=None)
@given(st.lists(latency_ms, min_size=2, max_size=8), st.floats(0.5, 2))
def test_a_common_factor_is_found_without_error(sums: list[float], factor: float) -> None:
    calibration = fit("float32", networks(*((total, factor * total) for total in sums)))
    assert calibration.scale == pytest.approx(factor)
    assert calibration.held_out is not None
    assert calibration.held_out.worst_percent == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, 0.0)]])
def test_nothing_to_fit_on_is_refused(pairs: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="calibration"):
        fit("float32", networks(*pairs))
