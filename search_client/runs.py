"""A search's run folder: all that `derive`, `train` and `compare` need, without the profiler."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.networks import Network
from netspec.wire import Snapshot
from search_client import distributed
from search_client.checkpoints import load
from search_client.derive import Derived, Rule, nearest_to_target
from search_client.expected_latency import ExpectedLatency
from search_client.family import Family
from search_client.goal import Aim, Goal
from search_client.history import History
from search_client.search import SearchResult, derive, history_of
from search_client.settings import Settings

CHECKPOINT = "search.pt"
RECORD = "run.json"
NETWORK = "network.json"

#: packages whose versions a record holds
PACKAGES = ("proxyless-farm", "torch", "numpy")


class BadRun(UserError):
    """A folder holds no search, or one that has not ended."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TargetRecord(_Record):
    """One target that a search aimed at."""

    target: str
    reference_ms: float
    weight: float
    #: of the snapshot whose entries were in the loss: its ETag
    snapshot: str
    #: of the final probabilities; None while the search runs
    expected_ms: float | None = None


class FoundRecord(_Record):
    """A network that a search ended with."""

    rule: Rule
    input_size: int
    width: float
    choices: tuple[int, ...]
    log_probability: float
    #: by target
    latency_ms: tuple[float, ...]
    #: (latency - reference) / reference of the target that is farthest above, in percent
    miss_percent: float
    network: Network


class RunRecord(_Record):
    """`run.json`: every parameter of a search, and what came out."""

    started_at: AwareDatetime
    settings: Settings
    #: path of the images
    data: str
    classes: tuple[str, ...]
    targets: tuple[TargetRecord, ...]
    #: processes that searched together
    processes: int
    versions: dict[str, str]
    #: None while the search runs
    found: FoundRecord | None = None
    most_likely: FoundRecord | None = None


@dataclass(frozen=True)
class LoadedRun:
    """A search that has ended, on the CPU."""

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
            NoNetworkOnTarget: by `on_target`, where there is none.
        """
        search = self.record.settings.search
        if rule is None and tolerance is None and search.rule == "on_target":
            return nearest_to_target(self.family, self.goal, search.tolerance)
        return derive(self.family, self.goal, rule or search.rule, tolerance or search.tolerance)


def goal_of(
    settings: Settings, tables: Sequence[LatencyTable], references_ms: Sequence[float]
) -> Goal:
    """The goal of a run's family under its targets' tables, calibrated.

    Raises:
        UserError: a table lacks operators, or has no calibration in the settings' precision.
    """
    weights = [1.0, *(further.weight for further in settings.further_targets)]
    aims, latencies = [], []
    for table, reference_ms, weight in zip(tables, references_ms, weights, strict=True):
        calibration = table.calibration(settings.precision)
        aims.append(Aim(table.snapshot.target_id, reference_ms, weight))
        latencies.append(
            [
                ExpectedLatency.of_space(
                    space,
                    table.snapshot.values_ms,
                    table.snapshot.target_id,
                    scale=calibration.scale,
                    intercept_ms=calibration.intercept_ms,
                )
                for space in settings.spaces(settings.precision)
            ]
        )
    return Goal(aims, latencies, settings.combine)


def family_of(settings: Settings) -> Family:
    """A fresh family of a run's space, drawn from the settings' seed."""
    torch.manual_seed(settings.seed)
    space = settings.space.with_precision(settings.precision)
    return Family(space, settings.sizes, settings.widths)


def record_of(
    settings: Settings,
    goal: Goal,
    tables: Sequence[LatencyTable],
    data: Path,
    classes: Sequence[str],
) -> RunRecord:
    """The record of a search that begins."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return RunRecord(
        started_at=datetime.now(UTC),
        settings=settings,
        data=str(data),
        classes=tuple(classes),
        targets=tuple(
            TargetRecord(
                target=aim.target,
                reference_ms=aim.reference_ms,
                weight=aim.weight,
                snapshot=table.snapshot.id,
            )
            for aim, table in zip(goal.aims, tables, strict=True)
        ),
        processes=distributed.world(),
        versions={**versions, "python": platform.python_version()},
    )


def found_record(found: Derived, goal: Goal, family: Family) -> FoundRecord:
    """A derived network as a record."""
    space = family.variants[found.variant].space
    ratios = [
        latency / aim.reference_ms for latency, aim in zip(found.latency_ms, goal.aims, strict=True)
    ]
    return FoundRecord(
        rule=found.rule,
        input_size=space.input_size,
        width=space.width,
        choices=tuple(found.choices),
        log_probability=found.log_probability,
        latency_ms=found.latency_ms,
        miss_percent=100 * (max(ratios) - 1),
        network=found.network,
    )


def ended(record: RunRecord, result: SearchResult, goal: Goal, family: Family) -> RunRecord:
    """A record with what the search came to."""
    targets = tuple(
        target.model_copy(update={"expected_ms": expected})
        for target, expected in zip(record.targets, result.expected_ms, strict=True)
    )
    return record.model_copy(
        update={
            "targets": targets,
            "found": found_record(result.found, goal, family),
            "most_likely": found_record(result.most_likely, goal, family),
        }
    )


def write_record(record: RunRecord, tables: Sequence[LatencyTable], folder: Path) -> None:
    """Writes `run.json`, the snapshots and, once it is found, the network."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for table in tables:
        path = folder / snapshot_name(table.snapshot)
        path.write_text(table.snapshot.model_dump_json(), encoding="utf-8")
    if record.found is not None:
        text = record.found.network.model_dump_json(indent=1)
        (folder / NETWORK).write_text(text + "\n", encoding="utf-8")


def snapshot_name(snapshot: Snapshot) -> str:
    """Name of a snapshot's file."""
    return f"snapshot-{snapshot.id[:16]}.json"


def read_record(folder: Path) -> RunRecord:
    """The record in a run's folder.

    Raises:
        BadRun: there is none.
    """
    path = folder / RECORD
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadRun(
            f"{path} is no record of a search; give the --run folder of `search-client search`"
        ) from error


def read_run(folder: Path, references_ms: Mapping[int, float] | None = None) -> LoadedRun:
    """A search that has ended.

    Args:
        folder: of the run.
        references_ms: other references than the run's, by the target's index.

    Raises:
        UserError: the folder holds no such search.
    """
    record = read_record(folder)
    tables = []
    for target in record.targets:
        path = folder / f"snapshot-{target.snapshot[:16]}.json"
        try:
            tables.append(LatencyTable(Snapshot.model_validate_json(path.read_bytes())))
        except (OSError, ValidationError) as error:
            raise BadRun(f"{path} is no table snapshot; search again") from error
    references = [
        (references_ms or {}).get(index, target.reference_ms)
        for index, target in enumerate(record.targets)
    ]
    state = load(folder / CHECKPOINT)
    family = family_of(record.settings)
    family.load_state_dict(state["family"])
    goal = goal_of(record.settings, tables, references)
    return LoadedRun(record, family, goal, tuple(tables), history_of(state))
