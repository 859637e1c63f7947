"""Transfer from a sibling, and drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.drift import Drift, drift, due, prediction_error
from profiler_server.latency_model.transfer import TooFewShared, transfer

ISOLATED = {key: Priced(ms, 0.0) for key, ms in {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}.items()}


def test_a_siblings_table_is_scaled() -> None:
    own = {"a": Priced(1.5, 0.0), "b": Priced(3.0, 0.0), "c": Priced(6.6, 0.0)}
    moved = transfer(ISOLATED, own)
    # ratios 1.5, 1.5, 1.65: the median; without c 1.5, without a or b 1.575
    assert moved.factor == pytest.approx(1.5)
    assert moved.prices["d"].value_ms == pytest.approx(12.0)
    assert moved.prices["c"] == own["c"]
    assert moved.transferred == ("d",)
    assert moved.mape_percent == pytest.approx((5 + 5 + 100 * (1 - 4 * 1.5 / 6.6)) / 3)
    assert moved.interval_factor > 1.1
    assert moved.prices["d"].relative_error > 0.05


def test_a_transfer_needs_three_operators_of_both() -> None:
    with pytest.raises(TooFewShared, match="there are 2"):
        transfer(ISOLATED, {"a": Priced(1.0, 0.0), "b": Priced(2.0, 0.0), "x": Priced(2.0, 0.0)})


NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_the_oldest_fiftieth_is_due() -> None:
    ages = {f"op{index:03d}": NOW - timedelta(days=index) for index in range(120)}
    assert due(ages, NOW) == ["op119", "op118", "op117"]
    assert due({"only": NOW - timedelta(days=2)}, NOW) == ["only"]
    assert due({"young": NOW - timedelta(hours=2)}, NOW) == []
    assert due({}, NOW) == []


def test_a_small_table_is_looked_at_often_enough_to_raise_the_alarm() -> None:
    ages = {f"op{index:03d}": NOW - timedelta(days=index) for index in range(70)}
    found = due(ages, NOW)
    assert found == ["op069", "op068", "op067"]
    assert drift([(key, Priced(1.0, 0.0), Priced(1.1, 0.0)) for key in found]).is_alarming


def looks(*changes: float, error: float = 0.0) -> Drift:
    """Entries of 1 ms that changed so."""
    return drift(
        [
            (f"op{index}", Priced(1.0, error), Priced(1.0 + change, error))
            for index, change in enumerate(changes)
        ]
    )


def test_drift_by_hand() -> None:
    found = looks(0.01, 0.06, -0.02, 0.1)
    assert found.looks == 4
    assert found.median_percent == pytest.approx(3.5)
    assert found.moved == 0.5
    assert found.worst == "op3"
    assert found.worst_percent == pytest.approx(10.0)
    assert found.is_alarming


def test_no_alarm_for_noise_or_a_single_look() -> None:
    assert not looks(0.01, -0.02, 0.02).is_alarming
    assert not looks(0.5).is_alarming
    # one operator of many may change, for instance after being disturbed
    assert not looks(0.0, 0.01, -0.01, 0.5).is_alarming
    # most moved, some up and some down
    assert looks(0.08, -0.08, 0.07, -0.07).is_alarming
    # the same within errors of 5 %
    assert not looks(0.08, -0.08, 0.07, -0.07, error=0.05).is_alarming


def test_predictions_have_become_worse() -> None:
    # 10 % too low, 5 % too high, right; stated are 1, 1 and 4 %
    grown = prediction_error([(9.0, 10.0, 1.0), (10.5, 10.0, 1.0), (10.0, 10.0, 4.0)])
    assert grown.networks == 3
    assert grown.mape_percent == pytest.approx(5.0)
    assert grown.stated_percent == pytest.approx(2.0)
    assert grown.is_alarming
    # off by less than twice of what is stated, or by no more than measuring again is
    assert not prediction_error([(10.5, 10.0, 3.0)] * 3).is_alarming
    assert not prediction_error([(10.2, 10.0, 0.1)] * 3).is_alarming
    assert not prediction_error([(20.0, 10.0, 0.1)] * 2).is_alarming
