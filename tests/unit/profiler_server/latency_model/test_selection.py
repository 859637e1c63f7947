from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from profiler_server.latency_model.design import MeasuredNetwork, OperatorPrice, Priced, design
from profiler_server.latency_model.fits import USUAL, fit
from profiler_server.latency_model.interval import interval_factor
from profiler_server.latency_model.selection import calibrate, choose, choose_and_fit, folds
from tests.unit.profiler_server.latency_model.synthetic import made_up


def test_the_data_decide_on_the_model() -> None:
    assert choose(made_up(3)).kind == "scale"
    assert choose(made_up(12, noise=0.01)) == USUAL
    assert choose(made_up(12, intercept_ms=2.0, noise=0.002)).kind == "scale_intercept"
    assert choose(made_up(40, spread=0.03, noise=0.005)) == USUAL
    assert choose(made_up(40, spread=0.2, noise=0.001)).strength > USUAL.strength


def test_a_few_networks_do_not_choose_by_accident() -> None:
    chosen = [choose(made_up(5, spread=0.05, noise=0.01, seed=seed)) for seed in range(50)]
    assert chosen.count(USUAL) >= 47


def test_a_ridge_with_a_price_below_zero_gives_way_to_the_scale() -> None:
    # Each more of the operator that is nearly nothing but weights makes the network faster.
    entries = {
        "light": OperatorPrice(1.0, 0.0, "light", 0),
        "heavy": OperatorPrice(0.01, 0.0, "heavy", 1_000_000),
    }
    networks = [
        MeasuredNetwork(
            str(heavy), ("light",) * 10 + ("heavy",) * heavy, Priced(10 - 0.2 * heavy, 0.0)
        )
        for heavy in range(1, 7)
    ]
    found = design(networks, entries)
    assert choose(found) == USUAL
    assert not fit(found, USUAL).is_sound
    assert choose_and_fit(found).model.kind == "scale"


def test_three_networks_by_hand() -> None:
    networks = [
        MeasuredNetwork(str(index), ("op",), Priced(ms, 0.0)) for index, ms in enumerate((1, 1, 2))
    ]
    calibrated = calibrate(design(networks, {"op": OperatorPrice(1.0, 0.0)}))
    held_out = calibrated.held_out
    assert held_out is not None
    # without a 1: scale = 1.5 / 1.25 = 1.2, +20 % twice; without the 2: scale = 1, -50 %
    assert held_out.mape_percent == pytest.approx(30.0)
    assert held_out.bias_percent == pytest.approx(-10.0 / 3)
    assert held_out.worst_percent == pytest.approx(50.0)
    assert held_out.worst_network == "2"
    assert (held_out.within_5, held_out.within_10) == (0.0, 0.0)
    # every sum is the same: nothing can be ranked
    assert calibrated.fit.scale == pytest.approx(2.5 / 2.25)


def test_a_single_network_says_nothing_of_others() -> None:
    calibrated = calibrate(made_up(1))
    assert calibrated.held_out is None
    assert calibrated.interval_factor is None
    assert calibrated.fit.scale == pytest.approx(1.06)


def test_held_out_error_is_not_that_of_the_fit() -> None:
    """Noise alone: no model can predict it, and the stated error must say so."""
    truth = made_up(20, operators=30, noise=0.05, seed=1)
    calibrated = calibrate(truth)
    assert calibrated.held_out is not None
    assert 2.5 < calibrated.held_out.mape_percent < 6.5


@pytest.mark.parametrize("networks", [5, 10, 40])
def test_intervals_hold_for_new_networks(networks: int) -> None:
    covered = []
    for seed in range(12):
        truth = made_up(networks + 40, spread=0.05, noise=0.02, seed=seed)
        calibrated = calibrate(truth.rows(np.arange(networks)))
        fresh = truth.rows(np.arange(networks, networks + 40))
        predicted = calibrated.fit.predict_ms(fresh.counts, fresh.values_ms)
        assert calibrated.interval_factor is not None
        covered.append(
            np.abs(np.log(predicted / fresh.measured_ms)) <= math.log(calibrated.interval_factor)
        )
    assert np.mean(covered) >= 0.93


def test_every_network_is_in_one_fold() -> None:
    truth = made_up(23)
    parts = folds(truth)
    assert len(parts) == 10
    assert sorted(np.concatenate(parts).tolist()) == list(range(23))
    assert len(folds(made_up(4))) == 4


def test_few_errors_are_widened_and_many_are_counted() -> None:
    measured = np.ones(2)
    # log errors 0.1, -0.1: t(0.975, 1) = 12.7062, rms 0.1, sqrt(1.5)
    few = interval_factor(np.exp([0.1, -0.1]), measured)
    assert few == pytest.approx(math.exp(12.7062 * 0.1 * math.sqrt(1.5)), rel=1e-4)
    assert interval_factor(np.ones(1), np.ones(1)) is None
    # 39 errors: ceil(40 * 0.95) = the 38th
    sizes = np.arange(1, 40) / 100
    assert interval_factor(np.exp(sizes), np.ones(39)) == pytest.approx(math.exp(0.38))
    # 19 errors: the greatest
    assert interval_factor(np.exp(sizes[:19]), np.ones(19)) == pytest.approx(math.exp(0.19))


@pytest.mark.parametrize(("networks", "at_most"), [(5, 0.04), (12, 0.015), (40, 0.01)])
def test_a_disturbed_network_does_not_bend_the_rest(networks: int, at_most: float) -> None:
    errors: list[float] = []
    careless: list[float] = []
    for seed in range(8):
        truth = made_up(networks + 30, operators=30, spread=0.05, noise=0.005, seed=seed)
        measured = truth.measured_ms.copy()
        measured[seed % networks :: 10][:1] *= 1.2
        seen = replace(truth, measured_ms=measured).rows(np.arange(networks))
        fresh = truth.rows(np.arange(networks, networks + 30))
        for found, fitted in (
            (errors, choose_and_fit(seen)),
            (careless, fit(seen, choose(seen))),
        ):
            predicted = fitted.predict_ms(fresh.counts, fresh.values_ms)
            found.append(float(np.abs(predicted / fresh.measured_ms - 1).mean()))
    assert np.mean(errors) < at_most
    assert np.mean(errors) < np.mean(careless)
