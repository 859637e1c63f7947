"""What operators take on another target, as a sum of what they do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.spaces import Space
from profiler_server.latency_model.additive import fit_additive, parts

OPERATORS = Space(input_size=96, width=0.5, classes=100).operators()
SOURCE_MS = np.random.default_rng(0).uniform(0.01, 1.0, len(OPERATORS))
PARTS = parts(OPERATORS, SOURCE_MS)
MEASURED = np.random.default_rng(1).permutation(len(OPERATORS))[:10]


def test_costs_of_work_are_found() -> None:
    """A target whose multiplications take another time each, and whose operators have a part of
    their own, is told from ten operators."""
    costs = np.array([0.2, 3e-7, 9e-7, 5e-6, 0.0, 0.0, 0.01])
    target_ms = PARTS @ costs
    found = fit_additive(PARTS[MEASURED], target_ms[MEASURED], np.full(10, 0.01))
    off = np.abs(PARTS @ found.costs / target_ms - 1)
    factor = np.median(target_ms[MEASURED] / SOURCE_MS[MEASURED])
    assert off.mean() < 0.05
    assert np.abs(factor * SOURCE_MS / target_ms - 1).mean() > 0.2


def test_a_factor_stays_a_factor() -> None:
    target_ms = 3.0 * SOURCE_MS
    found = fit_additive(PARTS[MEASURED], target_ms[MEASURED], np.full(10, 0.01))
    assert pytest.approx(target_ms, rel=1e-3) == PARTS @ found.costs
    assert found.left_out(PARTS[MEASURED]) == pytest.approx(np.ones(10), abs=1e-3)
    assert np.sqrt(np.diag(found.covariance(PARTS))).max() < 1e-3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(1e-4, 1e3), min_size=4, max_size=10),
    st.floats(0.0, 0.5),
    st.integers(0, 2**31 - 1),
)
def test_every_operator_takes_some_time(latencies_ms: list[float], noise: float, seed: int) -> None:
    """Whatever was measured: no latency of nothing, and no doubt that is not a number."""
    count = len(latencies_ms)
    rows = np.random.default_rng(seed).permutation(len(OPERATORS))[:count]
    found = fit_additive(PARTS[rows], np.array(latencies_ms), np.full(count, noise))
    assert (PARTS @ found.costs > 0).all()
    assert np.isfinite(np.log(found.left_out(PARTS[rows]))).all()
    assert np.isfinite(found.covariance(PARTS)).all()
