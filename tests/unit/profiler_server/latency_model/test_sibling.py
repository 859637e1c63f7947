"""A table out of a sibling's and ten visits, on made-up machines whose truth is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from netspec.operators import Operator
from netspec.sampling import random_network, stratified_networks
from profiler_server.latency_model.design import INTERVAL_SIGMAS, MeasuredNetwork, Priced
from profiler_server.latency_model.features import work
from profiler_server.latency_model.sibling import BroughtOver, SiblingTable
from tests.unit.profiler_server.latency_model.machine import SPACE, latency_ms

OPERATORS = SPACE.operators()
SOURCE_MS = {one.key: latency_ms(one) for one in OPERATORS}
NETWORKS = stratified_networks(SPACE, SOURCE_MS, 12, 1)
HELD_OUT = [random_network(SPACE, np.random.default_rng(2)) for _ in range(8)]


def slower(operator: Operator) -> float:
    """Three times for products, less for the kernels that the source is slow at."""
    does, name = work(operator), operator.family
    depthwise_ms = {"mbconv kernel 3": 0.15, "mbconv kernel 5": 0.15, "mbconv kernel 7": 0.5}
    rule = (
        0.008
        + 0.06 * does.pointwise_macs / 1e6
        + depthwise_ms.get(name, 0.0) * does.depthwise_macs / 1e6
        + 0.15 * does.activations / 1e6
    )
    digit = int(hashlib.sha256(f"slower {operator.key}".encode()).hexdigest()[:4], 16) / 0xFFFF
    return rule * (0.97 + 0.06 * digit)


def table(networks: Sequence[MeasuredNetwork]) -> SiblingTable:
    prices = [Priced(SOURCE_MS[one.key], 0.01) for one in OPERATORS]
    return SiblingTable(OPERATORS, prices, networks)


def source_networks() -> list[MeasuredNetwork]:
    return [
        MeasuredNetwork(
            f"network {at}",
            tuple(one.key for one in network.operators),
            Priced(1.05 * sum(SOURCE_MS[one.key] for one in network.operators), 0.01),
        )
        for at, network in enumerate(NETWORKS)
    ]


def measured(names: Sequence[str], target_ms: dict[str, float]) -> dict[str, Priced]:
    """What the target's device says, networks 5 % above their operators there, too."""
    own = {}
    for name in names:
        ms = target_ms.get(name)
        if ms is None:
            network = NETWORKS[int(name.removeprefix("network "))]
            ms = 1.05 * sum(target_ms[one.key] for one in network.operators)
        own[name] = Priced(ms, 0.01)
    return own


def errors(found: BroughtOver, target_ms: dict[str, float]) -> tuple[float, float]:
    """Mean error of held-out networks' sums, percent; share of fitted entries in their interval."""
    sums = [
        sum(found.prices[one.key].value_ms for one in network.operators)
        / sum(target_ms[one.key] for one in network.operators)
        for network in HELD_OUT
    ]
    inside = [
        abs(np.log(found.prices[key].value_ms / target_ms[key]))
        <= INTERVAL_SIGMAS * found.prices[key].relative_error
        for key in found.fitted
    ]
    return float(100 * np.abs(np.array(sums) - 1).mean()), float(np.mean(inside))


def test_ten_visits_tell_a_machine_of_other_kernels() -> None:
    target_ms = {one.key: slower(one) for one in OPERATORS}
    sibling = table(source_networks())
    chosen = sibling.choose(10)
    assert len(set(chosen)) == 10
    assert sum(name.startswith("network") for name in chosen) == 6
    found = sibling.bring_over(measured(chosen, target_ms))
    assert found is not None
    assert len(found.fitted) == len(OPERATORS) - 4
    assert all(found.prices[key] == Priced(target_ms[key], 0.01) for key in chosen[6:])
    percent, coverage = errors(found, target_ms)
    # One factor for all would be off by over a third.
    factor = np.median([target_ms[key] / SOURCE_MS[key] for key in chosen[6:]])
    plain = [abs(factor * SOURCE_MS[key] / target_ms[key] - 1) for key in found.fitted]
    assert np.mean(plain) > 0.3
    assert percent < 4.0
    assert coverage >= 0.93


def test_targets_that_differ_by_a_factor_get_narrow_intervals() -> None:
    target_ms = {key: 1.7 * ms for key, ms in SOURCE_MS.items()}
    sibling = table(source_networks())
    found = sibling.bring_over(measured(sibling.choose(10), target_ms))
    assert found is not None
    assert found.mape_percent < 1.0
    for key in found.fitted:
        assert found.prices[key].value_ms == pytest.approx(target_ms[key], rel=0.02)
        assert found.prices[key].relative_error < 0.05
    assert found.sum_percent < 2.0


def test_what_is_doubtful_is_measured_next_and_makes_sums_surer() -> None:
    target_ms = {one.key: slower(one) for one in OPERATORS}
    sibling = table(source_networks())
    chosen = sibling.choose(10)
    before = sibling.bring_over(measured(chosen, target_ms))
    assert before is not None
    assert set(before.doubtful) <= set(before.fitted)
    assert len(set(before.doubtful)) == len(before.doubtful) > 16
    more = [*chosen, *before.doubtful[:16]]
    after = sibling.bring_over(measured(more, target_ms))
    assert after is not None
    assert after.sum_percent < before.sum_percent
    assert errors(after, target_ms)[0] < 3.0


def test_without_networks_operators_alone_are_chosen() -> None:
    sibling = table([])
    chosen = sibling.choose(10, measured=[OPERATORS[0].key])
    assert len(chosen) == 10
    assert OPERATORS[0].key not in chosen
    assert set(chosen) <= set(SOURCE_MS)
    assert sibling.bring_over(measured(chosen[:3], SOURCE_MS)) is None


def test_networks_of_other_operators_are_left_alone() -> None:
    strange = MeasuredNetwork("network 0", ("unknown",), Priced(1.0, 0.01))
    assert "network 0" not in table([strange]).choose(10)
