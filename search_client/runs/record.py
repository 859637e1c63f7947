"""`run.json`: every parameter of a search, and what came out."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from netspec.client import LatencyTable
from netspec.console.outputs import whole_file
from netspec.errors import UserError
from netspec.networks import Network
from netspec.validation import FrozenModel
from netspec.wire import Snapshot
from search_client.data.folders import LabelledImages
from search_client.latency.energy import EnergyFound, EnergyTerm
from search_client.latency.objective import Aim, Goal
from search_client.recipe import Recipe
from search_client.search.derive import Derived, Rule
from search_client.search.search import SearchResult
from search_client.supernet.variants import Family
from search_client.training import distributed

RECORD = "run.json"
NETWORK = "network.json"

#: packages whose versions a record holds
PACKAGES = ("proxyless-farm", "torch", "numpy")
#: settings that the steps of a search do not depend on: a resume may change them
FREE = frozenset(
    {
        "baselines",
        "checkpoint_minutes",
        "device_images",
        "finetune",
        "memory_gb",
        "post_training",
        "profiling",
        "train",
        "unreadable_share",
        "workers",
    }
)


class BadRun(UserError):
    """A folder holds no search, or another one."""


class TargetRecord(FrozenModel):
    """One target that a search aimed at."""

    target: str
    reference_ms: float
    weight: float
    #: of the snapshot whose entries were in the loss: its ETag
    snapshot: str
    #: whether latencies are calibrated; else they are plain sums of entries
    calibrated: bool = True
    #: by canonical key, what parts without entry that every network has were taken to cost, ms
    assumed_ms: dict[str, float] = Field(default_factory=dict)
    #: of the final probabilities; None while the search runs
    expected_ms: float | None = None


class FoundRecord(FrozenModel):
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


class EnergyRecord(FrozenModel):
    """What a search aimed at beside latency, or in its place, on its first target."""

    reference_mj: float
    #: by which the table's energies were measured
    meter: str
    #: None while the search runs
    found: EnergyFound | None = None


class RunRecord(FrozenModel):
    """What a search was told and what it found."""

    started_at: AwareDatetime
    settings: Recipe
    #: path of the images
    data: str
    classes: tuple[str, ...]
    #: of the training images, see `LabelledImages.fingerprint`; empty in records of before
    fingerprint: str = ""
    #: names of images that were left out, because they cannot be read
    unreadable: tuple[str, ...] = ()
    #: weight steps after which numbers were not finite, so that the search went back
    went_back: tuple[int, ...] = ()
    #: signal to noise of alpha's gradient in one architecture step, over all of them
    gradient_snr: float | None = None
    targets: tuple[TargetRecord, ...]
    #: None: energy was not in the loss
    energy: EnergyRecord | None = None
    #: processes that searched together
    processes: int
    versions: dict[str, str]
    #: None while the search runs
    found: FoundRecord | None = None
    most_likely: FoundRecord | None = None


def record_of(
    settings: Recipe,
    aims: Sequence[Aim],
    tables: Sequence[LatencyTable],
    data: Path,
    training: LabelledImages,
    energy: EnergyTerm | None = None,
) -> RunRecord:
    """The record of a search that begins."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return RunRecord(
        started_at=datetime.now(UTC),
        settings=settings,
        data=str(data.absolute()),
        classes=training.classes,
        fingerprint=training.fingerprint(),
        unreadable=training.unreadable,
        targets=tuple(
            TargetRecord(
                target=aim.target,
                reference_ms=aim.reference_ms,
                weight=aim.weight,
                snapshot=table.snapshot.id,
                calibrated=table.snapshot.calibration(settings.precision) is not None,
                assumed_ms=table.assumed_ms,
            )
            for aim, table in zip(aims, tables, strict=True)
        ),
        energy=None if energy is None else _energy(energy, tables[0]),
        processes=distributed.world(),
        versions={**versions, "python": platform.python_version()},
    )


def _energy(term: EnergyTerm, table: LatencyTable) -> EnergyRecord:
    meters = {one.energy.meter.name for one in table.snapshot.entries if one.energy is not None}
    return EnergyRecord(reference_mj=term.reference_mj, meter=", ".join(sorted(meters)))


def continued(before: RunRecord, now: RunRecord) -> RunRecord:
    """The record of a search that goes on.

    Args:
        before: of the search that was interrupted.
        now: what `record_of` says of the one that is to go on.

    Raises:
        BadRun: the two would not be one search; the message names what differs.
    """
    differing = _differing(_decisive(before), _decisive(now))
    if differing:
        raise BadRun(
            f"--resume goes on with the same search, but {'; '.join(differing)}: give what it was "
            "given, or start without --resume"
        )
    return before.model_copy(update={"settings": now.settings, "processes": now.processes})


def _decisive(record: RunRecord) -> dict[str, Any]:
    """What the steps of a search depend on."""
    targets = [target.model_dump(exclude={"expected_ms"}) for target in record.targets]
    energy = record.energy and record.energy.model_dump(exclude={"found"})
    settings = record.settings.model_dump(mode="json", exclude=set(FREE))
    return {**settings, "classes": list(record.classes), "targets": targets, "energy": energy}


def _differing(before: Any, now: Any, name: str = "") -> list[str]:
    """What is not the same in two documents, by dotted name."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            one
            for key in sorted(before.keys() | now.keys())
            for one in _differing(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if before == now else [f"{name} was {before} and is {now}"]


def found_record(derived: Derived, goal: Goal, family: Family) -> FoundRecord:
    """A derived network as a record."""
    space = family.variants[derived.variant].space
    ratios = [
        latency / aim.reference_ms
        for latency, aim in zip(derived.latency_ms, goal.aims, strict=True)
    ]
    return FoundRecord(
        rule=derived.rule,
        input_size=space.input_size,
        width=space.width,
        choices=tuple(derived.choices),
        log_probability=derived.log_probability,
        latency_ms=derived.latency_ms,
        miss_percent=100 * (max(ratios) - 1),
        network=derived.network,
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
            "energy": record.energy and record.energy.model_copy(update={"found": result.energy}),
            "went_back": tuple(result.history.went_back),
            "gradient_snr": result.history.gradient_snr,
            "found": found_record(result.found, goal, family),
            "most_likely": found_record(result.most_likely, goal, family),
        }
    )


def write_record(record: RunRecord, tables: Sequence[LatencyTable], folder: Path) -> None:
    """Writes `run.json`, the snapshots and, once it is found, the network."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        _write(folder / snapshot_name(table.snapshot.id), table.snapshot.model_dump_json())
    if record.found is not None:
        _write(folder / NETWORK, record.found.network.model_dump_json(indent=1) + "\n")
    _write(folder / RECORD, record.model_dump_json(indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def snapshot_name(snapshot_id: str) -> str:
    """Name of a snapshot's file."""
    return f"snapshot-{snapshot_id[:16]}.json"


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


def read_tables(record: RunRecord, folder: Path) -> list[LatencyTable]:
    """The tables of a run, by target.

    Raises:
        BadRun: one is not in the folder.
    """
    tables = []
    for target in record.targets:
        path = folder / snapshot_name(target.snapshot)
        try:
            snapshot = Snapshot.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadRun(f"{path} is no table snapshot; search again") from error
        tables.append(LatencyTable(snapshot, target.assumed_ms))
    return tables
