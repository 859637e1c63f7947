"""A search's run folder: all that `derive`, `train` and `compare` need, without the profiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.networks import Network
from search_client.latency.energy import EnergyTerm, energy_term, require_energies
from search_client.latency.expected import ExpectedLatency
from search_client.latency.objective import Aim, Goal
from search_client.latency.prediction import calibration_of
from search_client.recipe import Recipe
from search_client.runs.record import RunRecord, read_record, read_tables
from search_client.search.candidates import Candidate, candidate_of
from search_client.search.derive import Derived, Rule
from search_client.search.history import History
from search_client.search.loop import history_of
from search_client.search.reachable import check_reachable, nearest_to_target
from search_client.search.search import derive
from search_client.supernet.variants import Family
from search_client.training.checkpoints import load

CHECKPOINT = "search.pt"


@dataclass(frozen=True)
class LoadedRun:
    """A search as its last checkpoint has it, on the CPU."""

    record: RunRecord
    family: Family
    goal: Goal
    #: by target, in the record's order
    tables: tuple[LatencyTable, ...]
    history: History

    @property
    def architecture_steps(self) -> int:
        """That the search made."""
        return len(self.history.architecture_steps)

    def derive(self, rule: Rule | None = None, tolerance: float | None = None) -> Derived:
        """The network of the run's probabilities; by default as the run did.

        Raises:
            UnreachableLatency: the references are outside what the space reaches.
            NoNetworkOnTarget: by `on_target`, where there is none.
        """
        search = self.record.settings.search
        if (rule or search.rule) == "on_target":
            check_reachable(self.family, self.goal, tolerance or search.tolerance)
        if rule is None and tolerance is None and search.rule == "on_target":
            return nearest_to_target(self.family, self.goal, search.tolerance)
        return derive(self.family, self.goal, rule or search.rule, tolerance or search.tolerance)

    def candidate(self, network: Network) -> Candidate:
        """The choices that make a network, in any precision; those of the search for its own.

        Raises:
            UserError: it is no network of the run's space.
        """
        family = self.family
        precision = self.record.settings.precision
        content_hash = network.with_precision(precision).content_hash
        for found in filter(None, (self.record.found, self.record.most_likely)):
            if found.network.content_hash != content_hash:
                continue
            for index, variant in enumerate(family.variants):
                space = variant.space
                if (space.input_size, space.width) == (found.input_size, found.width):
                    return Candidate(index, found.choices)
        candidate = candidate_of(family, network)
        if candidate is None:
            raise UserError(
                f"{network.name} is no network of the space that was searched, so its supernet has "
                "no weights for it; give one that `search-client derive` took out of this run, or "
                "--set train.start=scratch"
            )
        return candidate


def aims_of(
    settings: Recipe, tables: Sequence[LatencyTable], references_ms: Sequence[float]
) -> list[Aim]:
    """What a run aims at on each of its targets."""
    weights = [1.0, *(further.weight for further in settings.further_targets)]
    return [
        Aim(
            table.snapshot.target_id,
            reference_ms,
            weight,
            {fit.quantity: fit for fit in calibration_of(table, settings.precision).launches},
            {
                key: table.energy_scale(settings.precision) * value_mj
                for key, value_mj in table.energies_mj.items()
            },
        )
        for table, reference_ms, weight in zip(tables, references_ms, weights, strict=True)
    ]


def goal_of(
    settings: Recipe, tables: Sequence[LatencyTable], references_ms: Sequence[float]
) -> Goal:
    """The goal of a run's family under its targets' tables, calibrated where they can be.

    Raises:
        MissingEntries: a table lacks operators.
    """
    latencies = []
    for table in tables:
        calibration = calibration_of(table, settings.precision)
        latencies.append(
            [
                ExpectedLatency.of_space(
                    space,
                    table.prices_ms,
                    table.snapshot.target_id,
                    scale=calibration.scale,
                    intercept_ms=calibration.intercept_ms,
                )
                for space in settings.spaces(settings.precision)
            ]
        )
    return Goal(
        aims_of(settings, tables, references_ms),
        latencies,
        settings.combine,
        _energy_of(settings, tables[0]),
    )


def _energy_of(settings: Recipe, table: LatencyTable) -> EnergyTerm | None:
    """Energy's part of a run's loss; None: it has none.

    Raises:
        UserError: the method goes by no loss, the table lacks energies, or the loss is of ms.
    """
    aim, precision = settings.search.energy, settings.precision
    if aim is None:
        return None
    if settings.search.method != "gradient":
        raise UserError(
            f"search.energy joins the loss of the gradient, and search.method = "
            f"{settings.search.method} has none; set search.method to gradient, or leave it out"
        )
    reference_mj = aim.reference_mj
    if reference_mj is None:
        baseline = settings.baseline(precision)
        require_energies(
            table, sorted({one.key for one in baseline.operators} - table.energies_mj.keys())
        )
        reference_mj = table.predict_mj(baseline) or 0.0
    form, spaces = settings.search.latency_loss, settings.spaces(precision)
    return energy_term(aim, form, table, spaces, precision, reference_mj)


def family_of(settings: Recipe) -> Family:
    """A fresh family of a run's space, drawn from the settings' seed."""
    torch.manual_seed(settings.seed)
    space = settings.space.with_precision(settings.precision)
    return Family(space, settings.sizes, settings.widths, settings.search.weights)


def read_run(folder: Path, references_ms: Mapping[int, float] | None = None) -> LoadedRun:
    """A search as its last checkpoint has it.

    Args:
        folder: of the run.
        references_ms: other references than the run's, by the target's index.

    Raises:
        UserError: the folder holds no such search.
    """
    record = read_record(folder)
    tables = read_tables(record, folder)
    references = [
        (references_ms or {}).get(index, target.reference_ms)
        for index, target in enumerate(record.targets)
    ]
    state = load(folder / CHECKPOINT)
    family = family_of(record.settings)
    family.load_state_dict(state["family"])
    goal = goal_of(record.settings, tables, references)
    return LoadedRun(record, family, goal, tuple(tables), history_of(state))
