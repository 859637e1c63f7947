"""Sums of operators' energies, scaled to whole networks."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.wire import EnergyMeter, EnergyValue, Entry, NetworkSubject
from profiler_server.entries.priced_operators import Table
from profiler_server.latency_tables.energy_scale import energy_scale
from tests.made_up import energy_value, operator_entry
from tests.unit.profiler_server.calibrations import entry

SPACE = Space(input_size=32, width=0.25, classes=10)
METER = EnergyMeter(method="rapl", rails=("package-0",))


def energy(mj: float) -> EnergyValue:
    return energy_value(mj, METER)


def table() -> Table:
    made: Table = {}
    for number, operator in enumerate(SPACE.operators()):
        of = operator_entry(operator, 1.0).model_copy(update={"energy": energy(1.0 + number / 50)})
        made[operator.key] = (operator, of)
    return made


def networks(prices: Table, count: int, factor: float) -> list[tuple[NetworkSubject, Entry]]:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(count):
        subject = NetworkSubject(network=random_network(SPACE, rng))
        parts = [prices[one.key][1].energy for one in subject.network.operators]
        sum_mj = sum(part.value_mj for part in parts if part is not None)
        told = {"energy": energy(factor * sum_mj)}
        found.append((subject, entry(subject, 5.0).model_copy(update=told)))
    return found


def test_one_scale_maps_sums_to_networks() -> None:
    prices = table()
    found = energy_scale(prices, networks(prices, 6, 1.3))
    assert found is not None
    assert found.networks == 6
    assert found.scale == pytest.approx(1.3)
    assert found.held_out is not None
    assert found.held_out.worst_percent == pytest.approx(0.0, abs=1e-6)


def test_too_few_networks_tell_no_error_and_none_no_scale() -> None:
    prices = table()
    measured = networks(prices, 2, 0.9)
    found = energy_scale(prices, measured)
    assert found is not None
    assert found.held_out is None
    assert found.scale == pytest.approx(0.9)
    unmeasured = [(one, of.model_copy(update={"energy": None})) for one, of in measured]
    assert energy_scale(prices, unmeasured) is None
    key = measured[0][0].network.operators[0].key
    prices[key] = (prices[key][0], prices[key][1].model_copy(update={"energy": None}))
    assert energy_scale(prices, measured) is None
