from __future__ import annotations

import numpy as np
import pytest

from profiler_server.latency_model.shares import fit_shares, left_out_predictions


def test_what_networks_are_made_of_is_found_whatever_the_units() -> None:
    rng = np.random.default_rng(0)
    columns = np.stack([np.ones(9), rng.uniform(1e5, 9e6, 9), rng.uniform(0.1, 2.0, 9)], axis=1)
    shares = np.array([2.5, 1e-6, 4.0])
    measured = columns @ shares
    assert fit_shares(columns, measured) == pytest.approx(shares)
    assert left_out_predictions(columns, measured) == pytest.approx(measured)


def test_no_share_is_below_zero() -> None:
    columns = np.stack([np.ones(5), np.arange(1.0, 6.0)], axis=1)
    falling = np.array([5.0, 4.9, 4.8, 4.7, 4.6])
    fixed, growing = fit_shares(columns, falling)
    assert growing == 0.0
    assert 4.6 < fixed < 5.0


def test_a_network_has_no_say_in_how_it_is_predicted() -> None:
    measured = np.array([1.0, 1.0, 1.0, 10.0])
    predicted = left_out_predictions(np.ones((4, 1)), measured)
    assert predicted[3] == pytest.approx(1.0)
