"""Networks that say little, or nonsense: a calibration comes of them all the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler_server.latency_model.design import (
    Design,
    MeasuredNetwork,
    OperatorPrice,
    Priced,
    design,
)
from profiler_server.latency_model.fits import MODELS, candidates
from profiler_server.latency_model.selection import calibrate

#: from a picosecond to eleven days
_MS = st.floats(1e-9, 1e9) | st.sampled_from([1e-9, 1.0, 1e9])
_ERRORS = st.floats(0.0, 1e3) | st.sampled_from([0.0, 0.01])
_PRICES = st.builds(OperatorPrice, _MS, _ERRORS, st.sampled_from(["", "x"]))
_KEYS = ("a", "b", "c")
_NETWORKS = st.tuples(
    st.lists(st.sampled_from(_KEYS), min_size=1, max_size=4), st.builds(Priced, _MS, _ERRORS)
)


def alike(networks: int, *measured_ms: float) -> Design:
    """So many networks of one operator of 1 ms; latencies in turn."""
    return design(
        [
            MeasuredNetwork(str(index), ("op",), Priced(measured_ms[index % len(measured_ms)], 0.0))
            for index in range(networks)
        ],
        {"op": OperatorPrice(1.0, 0.0)},
    )


@pytest.mark.parametrize("networks", [4, 5, 6, 12])
def test_networks_that_are_all_alike_give_a_scale(networks: int) -> None:
    found = calibrate(alike(networks, 1.25))
    assert found.fit.predict_ms(found.design.counts, found.design.values_ms) == pytest.approx(1.25)
    assert found.fit.intercept_ms == pytest.approx(0.0, abs=1e-12)
    assert found.held_out is not None
    assert found.held_out.mape_percent == pytest.approx(0.0, abs=1e-6)


def test_no_intercept_is_told_by_a_single_network() -> None:
    sums = [("op",)] * 5 + [("op", "op")]
    networks = [
        MeasuredNetwork(str(index), operators, Priced(1.0 + len(operators), 0.0))
        for index, operators in enumerate(sums)
    ]
    found = design(networks, {"op": OperatorPrice(1.0, 0.0)})
    assert "scale_intercept" not in {model.kind for model in candidates(found)}
    assert math.isfinite(calibrate(found).fit.scale)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_NETWORKS, min_size=1, max_size=14),
    st.tuples(*[_PRICES] * len(_KEYS)),
    st.integers(1, 3),
)
def test_whatever_was_measured_gives_a_calibration(
    networks: list[tuple[list[str], Priced]], prices: tuple[OperatorPrice, ...], times: int
) -> None:
    repeated = [one for one in networks for _ in range(times)]
    made = design(
        [
            MeasuredNetwork(str(index), tuple(operators), latency)
            for index, (operators, latency) in enumerate(repeated)
        ],
        dict(zip(_KEYS, prices, strict=True)),
    )
    calibrated = calibrate(made)
    found = calibrated.fit
    assert found.model in MODELS
    assert found.is_sound
    assert math.isfinite(found.intercept_ms)
    assert calibrated.interval_factor is None or calibrated.interval_factor >= 1
