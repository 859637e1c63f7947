"""E[energy] in the loss: its gradient, a search that goes by it alone, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.operators import Operator
from netspec.wire import EnergyMeter, EnergyScale, EnergyValue, Entry
from search_client.latency.energy import EnergyTerm
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import LogRatio, TargetLoss
from search_client.latency.objective import Aim, Goal
from search_client.recipe import Recipe
from search_client.runs.load import goal_of, read_run
from search_client.runs.record import read_record
from search_client.supernet.variants import Family
from tests.made_up import energy_value
from tests.unit.search_client.tiny import tiny_space
from tests.unit.search_client.tiny_run import SETTINGS, changed, tiny_search, tiny_table

METER = EnergyMeter(method="odpm", rails=("S2M_VDD_CPUCL2",))
CE = torch.tensor(2.0)


def energy(mj: float) -> EnergyValue:
    return energy_value(mj, METER)


def with_energies(
    settings: Recipe, cheap: str = "kernel:7", lacking: frozenset[Operator] = frozenset()
) -> LatencyTable:
    """A table in which large kernels take least energy, though most time."""
    table = tiny_table(settings)
    without = {one.key for one in lacking}

    def told(entry: Entry) -> Entry:
        if entry.name in without:
            return entry
        mj = 0.5 if f"-{cheap}-" in entry.name or entry.name.endswith(cheap) else 4.0
        return entry.model_copy(update={"energy": energy(mj)})

    made = table.snapshot.model_copy(
        update={"entries": tuple(map(told, table.snapshot.entries)), "id": "ee" * 32}
    )
    return LatencyTable(made)


def aimed(**energy_aim: float) -> Recipe:
    return changed(search={**SETTINGS.search.model_dump(), "energy": energy_aim})


def goal(weight: float) -> Goal:
    means = [ExpectedLatency(1.0, torch.full((2, 7), 2.0))]
    latency = ExpectedLatency(1.0, torch.full((2, 7), 1.0))
    return Goal([Aim("a", 10.0)], [[latency]], energy=EnergyTerm(means, 4.0, weight))


@pytest.mark.parametrize(("weight", "loss"), [(1.0, 2.25), (0.5, 2.175), (0.25, 2.1375)])
def test_both_losses_are_weighted(weight: float, loss: float) -> None:
    latency_ms, energy_mj = torch.tensor([11.0]), torch.tensor(5.0)
    got = goal(weight).loss(TargetLoss(weight=1.0), CE, latency_ms, energy_mj)
    assert got.item() == pytest.approx(loss)


def test_the_mean_energy_is_the_sum_under_the_probabilities_and_differentiable() -> None:
    family = Family(tiny_space()).double()
    costs = torch.rand(2, 7, dtype=torch.float64)
    mean = ExpectedLatency(1.0, costs).double()
    mean.costs_ms.copy_(costs)
    made = Goal([Aim("a", 1.0)], [[mean]], energy=EnergyTerm([mean], 1.0, 1.0))
    value = made.expected_mj(family, 0)
    assert value is not None
    p = family.supernet(0).probabilities().detach()
    assert value.item() == pytest.approx(float(1.0 + (p * costs).sum()))
    (gradient,) = torch.autograd.grad(value, family.supernet(0).alpha)
    assert gradient.abs().sum() > 0
    path = made.path_mj(0, [1, 2])
    assert path is not None
    assert path.item() == pytest.approx(float(1.0 + costs[0, 1] + costs[1, 2]))


def test_without_energy_nothing_of_it_is_told() -> None:
    family, made = Family(tiny_space()), Goal.single(ExpectedLatency(1.0, torch.zeros(2, 7)), 1.0)
    assert made.expected_mj(family, 0) is None
    assert made.path_mj(0, [0, 0]) is None


def test_a_search_by_energy_alone_takes_what_takes_least_energy(tmp_path: Path) -> None:
    settings = aimed(weight=1.0, reference_mj=8.0)
    settings = settings.model_copy(
        update={
            "search": settings.search.model_copy(
                update={"joint_epochs": 12, "architecture_learning_rate": 0.5}
            )
        }
    )
    table = with_energies(settings)
    found = tiny_search(tmp_path, settings, [table])
    assert found.energy is not None
    assert (found.energy.reference_mj, found.energy.weight) == (8.0, 1.0)
    assert found.found.rule == "argmax"
    assert found.energy.found_mj == pytest.approx(table.predict_mj(found.network) or 0.0)
    record = read_record(tmp_path)
    assert record.energy is not None
    assert (record.energy.meter, record.energy.found) == (METER.name, found.energy)
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["search"]["energy"]
    loaded = read_run(tmp_path)
    assert loaded.goal.energy is not None
    assert loaded.derive().network == found.network


def test_the_reference_is_the_baselines_where_none_is_given() -> None:
    settings = aimed(weight=0.5)
    table = with_energies(settings)
    made = goal_of(settings, [table], [10.0])
    assert made.energy is not None
    assert made.energy.reference_mj == pytest.approx(
        table.predict_mj(settings.baseline(settings.precision)) or 0.0
    )


def test_sums_are_scaled_to_whole_networks() -> None:
    settings = aimed(weight=0.5, reference_mj=8.0)
    table = with_energies(settings)
    scaled = [
        one.model_copy(update={"energy": EnergyScale(scale=1.5, networks=4, held_out=None)})
        for one in table.snapshot.calibrations
    ]
    made = LatencyTable(table.snapshot.model_copy(update={"calibrations": tuple(scaled)}))
    network = settings.spaces("int8")[0].network([0, 0])
    plain = table.predict_mj(network)
    assert plain is not None
    assert made.predict_mj(network) == pytest.approx(1.5 * plain)
    path = goal_of(settings, [made], [10.0]).path_mj(0, [0, 0])
    assert path is not None
    assert path.item() == pytest.approx(1.5 * plain)


def test_parts_that_every_network_has_may_lack_an_energy() -> None:
    settings = aimed(weight=0.5, reference_mj=8.0)
    table = with_energies(settings, lacking=settings.unchanging_operators())
    made = goal_of(settings, [table], [10.0])
    assert made.energy is not None
    assert table.predict_mj(settings.spaces("int8")[0].network([0, 0])) is None


def test_what_cannot_be_aimed_at_is_refused_by_name() -> None:
    settings = aimed(weight=0.5, reference_mj=8.0)
    with pytest.raises(UserError, match=r"has no energy; measure it .*energy_windows"):
        goal_of(settings, [tiny_table(settings)], [10.0])
    choice = settings.spaces("int8")[0].blocks[0].candidates[2]
    table = with_energies(settings, lacking=frozenset({choice}))
    with pytest.raises(UserError, match=choice.key):
        goal_of(settings, [table], [10.0])
    whole = with_energies(settings)
    by_logs = settings.model_copy(
        update={"search": settings.search.model_copy(update={"latency_loss": LogRatio()})}
    )
    with pytest.raises(UserError, match="log_ratio"):
        goal_of(by_logs, [whole], [10.0])
    by_scores = settings.model_copy(
        update={"search": settings.search.model_copy(update={"method": "evolution"})}
    )
    with pytest.raises(UserError, match=r"search\.method = evolution"):
        goal_of(by_scores, [whole], [10.0])
