from __future__ import annotations

import math

import numpy as np
import pytest

from netspec.prediction_error import accuracy, spearman


def test_accuracy_by_hand() -> None:
    found = accuracy(
        ["a", "b", "c", "d"],
        np.array([102.0, 96.0, 107.0, 120.0]),
        np.array([100.0, 100.0, 100.0, 100.0]),
    )
    assert found.networks == 4
    assert found.mape_percent == pytest.approx((2 + 4 + 7 + 20) / 4)
    assert found.bias_percent == pytest.approx((2 - 4 + 7 + 20) / 4)
    assert found.within_5 == 0.5
    assert found.within_10 == 0.75
    assert found.spearman is None
    assert found.worst_percent == pytest.approx(20.0)
    assert found.worst_network == "d"


def test_rank_correlation_by_hand() -> None:
    ones = np.array([1.0, 2.0, 3.0])
    assert spearman(ones, ones**2) == pytest.approx(1.0)
    assert spearman(ones, -ones) == pytest.approx(-1.0)
    # squared differences of the ranks: 0, 1, 1; one minus six times their sum over 3 * 8
    assert spearman(ones, np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    # tied ones share ranks 1 and 2
    assert spearman(np.array([5.0, 5.0, 6.0]), ones) == pytest.approx(math.sqrt(3) / 2)
    assert spearman(np.ones(3), ones) is None
