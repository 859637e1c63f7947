from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler_server.latency_model.design import MeasuredNetwork, OperatorPrice, Priced, design
from profiler_server.latency_model.fits import (
    GROUP_SPREAD,
    INTERCEPT_SPREAD,
    MODELS,
    USUAL,
    WEIGHTS_SPREAD,
    Fit,
    Model,
    candidates,
    fit,
    left_out_residuals,
)
from tests.unit.profiler_server.latency_model.synthetic import made_up

SCALE, INTERCEPT, RIDGE = Model("scale"), Model("scale_intercept"), Model("ridge", 3.0)


def one_operator(*pairs: tuple[float, float]) -> list[MeasuredNetwork]:
    """Networks of copies of an operator of 1 ms, and their latencies."""
    return [
        MeasuredNetwork(str(index), ("op",) * int(total), Priced(measured, 0.0))
        for index, (total, measured) in enumerate(pairs)
    ]


ENTRY = {"op": OperatorPrice(1.0, 0.0)}


def test_a_scale_by_hand() -> None:
    # a = sum / measured = 1/2 and 1: scale = sum(a) / sum(a^2) = 1.5 / 1.25
    fitted = fit(design(one_operator((1, 2.0), (1, 1.0)), ENTRY), SCALE)
    assert fitted.scale == pytest.approx(1.2)
    assert fitted.intercept_ms == 0.0
    assert fitted.factors.tolist() == [1.0]
    assert fitted.predict_ms(np.array([[3.0]]), np.array([1.0]))[0] == pytest.approx(3.6)


def test_a_certain_network_weighs_more() -> None:
    # noise 0.01 and 0.02 (0.01 and sqrt(3) * 0.01): weights 4 : 1, a = 1/2 and 1
    networks = [
        MeasuredNetwork("sure", ("op",), Priced(2.0, 0.0)),
        MeasuredNetwork("unsure", ("op",), Priced(1.0, 0.01 * 3**0.5)),
    ]
    fitted = fit(design(networks, ENTRY), SCALE)
    assert fitted.scale == pytest.approx((4 * 0.5 + 1) / (4 * 0.25 + 1))


def test_scale_and_intercept_are_found() -> None:
    fitted = fit(design(one_operator((1, 3.0), (2, 5.0), (4, 9.0)), ENTRY), INTERCEPT)
    assert fitted.scale == pytest.approx(2.0)
    assert fitted.intercept_ms == pytest.approx(1.0)


def by_hand(
    measured_ms: tuple[float, float], entries: dict[str, OperatorPrice], alike: np.ndarray
) -> tuple[Fit, Fit]:
    """Of two operators of 1 ms, each in a network of its own: ridge's fit, and what it should be.

    `alike` is the covariance of their corrections, but for each one's own.
    """
    networks = [
        MeasuredNetwork(key, (key,), Priced(ms, 0.0))
        for key, ms in zip(entries, measured_ms, strict=True)
    ]
    shares = np.diag(1 / np.array(measured_ms))
    covariance = alike + np.diag([0.03**2] * 2)
    inverse = np.diag(shares)
    # the networks' mean sum is 1 ms
    intercept = INTERCEPT_SPREAD**2 * np.outer(inverse, inverse)
    explained = shares @ covariance @ shares + intercept
    precision = np.linalg.inv(explained + np.diag([0.01**2] * 2))
    beta = inverse @ precision @ np.ones(2) / (inverse @ precision @ inverse)
    unexplained = precision @ (1 - inverse * beta)
    expected = Fit(
        model=Model("ridge", 1.0),
        scale=float(beta),
        intercept_ms=INTERCEPT_SPREAD**2 * float(inverse @ unexplained),
        factors=1 + covariance @ shares @ unexplained / beta,
    )
    return fit(design(networks, entries), expected.model), expected


def assert_same(fitted: Fit, expected: Fit) -> None:
    assert fitted.scale == pytest.approx(expected.scale)
    assert fitted.factors == pytest.approx(expected.factors)
    assert fitted.intercept_ms == pytest.approx(expected.intercept_ms, abs=1e-12)


def test_ridge_by_hand() -> None:
    # The groups differ: nothing that one network shows is of use to the other's operator.
    entries = {"a": OperatorPrice(1.0, 0.0, "x"), "b": OperatorPrice(1.0, 0.0, "y")}
    fitted, expected = by_hand((1.0, 1.1), entries, np.diag([GROUP_SPREAD**2] * 2))
    assert_same(fitted, expected)
    assert fitted.factors[0] < 1.0 < fitted.factors[1]


def test_ridge_finds_what_single_operators_cost_inside() -> None:
    truth = made_up(60, spread=0.1, seed=3)
    seen, unseen = truth.rows(np.arange(40)), truth.rows(np.arange(40, 60))

    def error(model: Model) -> float:
        predicted = fit(seen, model).predict_ms(unseen.counts, unseen.values_ms)
        return float(np.abs(predicted / unseen.measured_ms - 1).mean())

    assert error(SCALE) > 0.01
    assert error(Model("ridge", 30.0)) < 0.002


def test_a_group_shares_what_its_members_show() -> None:
    entries = {
        "fast": OperatorPrice(1.0, 0.0, "k3"),
        "slow": OperatorPrice(1.0, 0.0, "k7"),
        "slow, in no network": OperatorPrice(5.0, 0.0, "k7"),
        "other, in no network": OperatorPrice(5.0, 0.0, "k5"),
    }
    networks = [
        MeasuredNetwork("fast", ("fast",), Priced(1.1, 0.0)),
        MeasuredNetwork("slow", ("slow",), Priced(1.0, 0.0)),
    ]
    fitted = fit(design(networks, entries), Model("ridge", 3.0))
    fast, other, slow, unseen = fitted.factors
    assert fast > 1.0
    assert other == pytest.approx(1.0)
    assert slow < unseen < 1.0


@pytest.mark.parametrize(("sides", "likeness"), [((14, 14), 1.0), ((14, 28), np.exp(-0.5))])
def test_a_group_is_alike_where_sizes_are(sides: tuple[int, int], likeness: float) -> None:
    entries = {
        key: OperatorPrice(1.0, 0.0, "k3", 0, side) for key, side in zip("ab", sides, strict=True)
    }
    alike = GROUP_SPREAD**2 * np.array([[1.0, likeness], [likeness, 1.0]])
    assert_same(*by_hand((1.0, 1.1), entries, alike))


def test_weights_by_hand() -> None:
    # 16 bytes a ms and 1: to the power of 3/4 they are 8 and 1, and the networks' mean is 4.5.
    entries = {"a": OperatorPrice(1.0, 0.0, "x", 16), "b": OperatorPrice(1.0, 0.0, "y", 1)}
    rates = np.array([8.0, 1.0]) / 4.5
    alike = np.diag([GROUP_SPREAD**2] * 2) + WEIGHTS_SPREAD**2 * np.outer(rates, rates)
    assert_same(*by_hand((1.1, 1.0), entries, alike))


def test_ridge_finds_what_every_network_costs_besides() -> None:
    short, long = ("op",) * 2, ("op",) * 40
    networks = [
        MeasuredNetwork(str(index), operators, Priced(1.1 * len(operators) + 0.2, 0.0))
        for index, operators in enumerate([short, short, long, long])
    ]
    fitted = fit(design(networks, ENTRY), USUAL)
    assert fitted.intercept_ms == pytest.approx(0.2, rel=0.1)
    assert fitted.scale * fitted.factors[0] == pytest.approx(1.1, rel=0.01)


def test_weights_in_no_network_cost_what_others_show() -> None:
    entries = {
        "light": OperatorPrice(1.0, 0.0, "light", 0),
        "heavy": OperatorPrice(1.0, 0.0, "heavy", 1000),
        "as heavy, in no network": OperatorPrice(1.0, 0.0, "other", 1000),
        "light, in no network": OperatorPrice(1.0, 0.0, "one more", 0),
    }
    networks = [
        MeasuredNetwork("light", ("light",) * 3 + ("heavy",), Priced(4.2, 0.0)),
        MeasuredNetwork("heavy", ("heavy",) * 3 + ("light",), Priced(4.6, 0.0)),
    ]
    as_heavy, heavy, light, unseen = fit(design(networks, entries), USUAL).factors
    assert unseen == pytest.approx(1.0)
    assert light < 1.0 < as_heavy < heavy


def test_uncertain_entries_are_corrected_first() -> None:
    entries = {"sure": OperatorPrice(1.0, 0.0), "unsure": OperatorPrice(1.0, 0.3)}
    networks = [
        MeasuredNetwork("both", ("sure", "unsure"), Priced(2.4, 0.0)),
        MeasuredNetwork("more", ("sure", "sure", "sure", "unsure"), Priced(4.4, 0.0)),
    ]
    sure, unsure = fit(design(networks, entries), Model("ridge", 1.0)).factors
    assert abs(sure - 1) < 0.01
    assert unsure > 1.2


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.integers(8, 16),
    st.integers(0, 1000),
)
def test_left_out_residuals_are_those_of_a_fit_without_the_network(
    model: Model, networks: int, seed: int
) -> None:
    truth = made_up(networks, spread=0.05, intercept_ms=0.4, noise=0.01, seed=seed)
    expected = []
    for index in range(networks):
        others = truth.rows(np.delete(np.arange(networks), index))
        predicted = fit(others, model).predict_ms(truth.counts[[index]], truth.values_ms)[0]
        expected.append(1 - predicted / truth.measured_ms[index])
    assert left_out_residuals(truth, model) == pytest.approx(np.array(expected), abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_a_common_factor_is_found_by_every_model(seed: int, scale: float) -> None:
    truth = made_up(12, scale=scale, seed=seed)
    for model in (SCALE, RIDGE):
        fitted = fit(truth, model)
        assert fitted.scale == pytest.approx(scale)
        assert fitted.factors == pytest.approx(np.ones(12))


def test_models_come_with_the_networks_that_they_need() -> None:
    assert candidates(made_up(1)) == candidates(made_up(3)) == (SCALE,)
    assert candidates(made_up(4)) == MODELS
    assert USUAL in MODELS
    assert [model.label for model in MODELS] == [
        "scale",
        "scale_intercept",
        "ridge 0.25",
        "ridge 1",
        "ridge 4",
    ]


@pytest.mark.parametrize(
    ("networks", "entries"),
    [
        ([], ENTRY),
        (one_operator((1, 0.0)), ENTRY),
        (one_operator((1, 1.0)), {"op": OperatorPrice(0.0, 0.0)}),
    ],
)
def test_nothing_to_fit_on_is_refused(
    networks: list[MeasuredNetwork], entries: dict[str, OperatorPrice]
) -> None:
    with pytest.raises(ValueError, match="calibration"):
        design(networks, entries)


def test_an_interval_becomes_a_standard_error() -> None:
    priced = Priced.of_entry(10.0, 9.9, 10.0 + 1.96, visits=10)
    assert priced.relative_error == pytest.approx(math.hypot(0.1, 0.005))
    assert Priced.of_entry(10.0, 10.0, 10.0, visits=1).relative_error == pytest.approx(0.05)
    assert Priced.of_entry(0.0, 0.0, 1.0, visits=10).relative_error == pytest.approx(0.005)
