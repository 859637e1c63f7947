"""Several runs side by side: accuracy against measured latency, and what nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.validation import FrozenModel
from search_client.report.content import NetworkResult, Report

REPORT = "report.json"

Role = Literal["searched", "MobileNetV2"]


class RunsDiffer(UserError):
    """Runs cannot stand side by side."""


class RunNetwork(FrozenModel):
    """One deployed network of one run."""

    #: name of the run's folder
    run: str
    role: Role
    #: name of the network
    network: str
    #: top-1 on the test images, 0 to 1: int8 of the `.tflite` file, float32 of the torch network
    accuracy: float
    predicted_ms: float
    measured_ms: float
    #: 95 % bootstrap interval of the measured value
    measured_low_ms: float
    measured_high_ms: float
    #: no network here is as fast and more accurate, or as accurate and faster
    on_front: bool = False


class ComparedRuns(FrozenModel):
    """Networks of several runs on one target, fastest first."""

    target: str
    #: the target in words
    label: str
    precision: Precision
    networks: tuple[RunNetwork, ...]

    @property
    def front(self) -> tuple[RunNetwork, ...]:
        """The networks that nothing beats, fastest first."""
        return tuple(network for network in self.networks if network.on_front)


@dataclass(frozen=True)
class _Run:
    name: str
    report: Report


def compare_runs(folders: Sequence[Path], precision: Precision) -> ComparedRuns:
    """The deployed networks of some runs in one precision.

    Args:
        folders: of runs that have ended.
        precision: of the files.

    Raises:
        RunsDiffer: the runs are of different targets or numbers of classes.
        UserError: a folder holds no report.
    """
    runs = [_Run(name, _read(folder)) for name, folder in _names(folders).items()]
    first = runs[0]
    for run in runs[1:]:
        _check_alike(first, run)
    networks = [
        network
        for run in runs
        for role, result in _results(run.report)
        for network in _networks(run.name, role, result, precision)
    ]
    return ComparedRuns(
        target=first.report.target,
        label=first.report.identity.label,
        precision=precision,
        networks=with_front(networks),
    )


def with_front(networks: Sequence[RunNetwork]) -> tuple[RunNetwork, ...]:
    """Networks by latency, those on the accuracy-latency Pareto front marked."""
    marked = []
    for one in sorted(networks, key=lambda network: (network.measured_ms, -network.accuracy)):
        beaten = any(
            (other.measured_ms <= one.measured_ms and other.accuracy > one.accuracy)
            or (other.measured_ms < one.measured_ms and other.accuracy >= one.accuracy)
            for other in networks
        )
        marked.append(one.model_copy(update={"on_front": not beaten}))
    return tuple(marked)


def _names(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by name; where two share one, by their whole path."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    named = dict(zip(names, folders, strict=True))
    if len(named) < len(folders):
        raise RunsDiffer("a run is named twice; name each once")
    return named


def _read(folder: Path) -> Report:
    path = folder / REPORT
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} is no report; give the --run folders of `search-client search` runs that "
            "have ended (those with --only-search have no measured networks)"
        ) from error


def _check_alike(first: _Run, other: _Run) -> None:
    for what, mine, theirs in (
        ("target", first.report.target, other.report.target),
        (
            "number of classes",
            first.report.search.space.classes,
            other.report.search.space.classes,
        ),
    ):
        if mine != theirs:
            raise RunsDiffer(
                f"runs differ in their {what}: {mine} of {first.name}, {theirs} of {other.name}; "
                "compare runs on one target and one data set"
            )


def _results(report: Report) -> list[tuple[Role, NetworkResult]]:
    baselines = (report.baseline, *report.further)
    return [("searched", report.searched), *(("MobileNetV2", baseline) for baseline in baselines)]


def _networks(
    run: str, role: Role, result: NetworkResult, precision: Precision
) -> list[RunNetwork]:
    return [
        RunNetwork(
            run=run,
            role=role,
            network=result.network.name,
            accuracy=result.accuracy_int8 if precision == "int8" else result.accuracy_float,
            predicted_ms=model.predicted_ms,
            measured_ms=model.measured_ms,
            measured_low_ms=model.measured_low_ms,
            measured_high_ms=model.measured_high_ms,
        )
        for model in result.models
        if model.precision == precision
    ]
