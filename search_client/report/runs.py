"""Several runs side by side: accuracy against measured latency, and what nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal

from pydantic import ValidationError

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.validation import FrozenModel
from search_client.report.content import NetworkResult, Report
from search_client.report.page import REPORT
from search_client.report.proportions import wilson

#: of the slowest network, where hypervolumes end: so it has a share in them
_BEYOND_SLOWEST = 1.1

Role = Literal["searched", "MobileNetV2"]


class RunsDiffer(UserError):
    """Runs cannot stand side by side."""


class RunNetwork(FrozenModel):
    """One deployed network of one run, or a MobileNetV2 that several runs share."""

    #: names of the runs' folders
    runs: tuple[str, ...]
    role: Role
    #: name of the network
    network: str
    #: top-1 on the test images, 0 to 1: int8 of the `.tflite` file, float32 of the torch network;
    #: the mean where the runs trained it on their own
    accuracy: float
    #: 95 % interval of one training (Wilson's), or the lowest and the highest of several; None
    #: where the number of test images is not known
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    #: how often it was trained
    trainings: int = 1
    predicted_ms: float
    measured_ms: float
    #: 95 % bootstrap interval of the measured value
    measured_low_ms: float
    measured_high_ms: float
    #: no network here is as fast and more accurate, or as accurate and faster
    on_front: bool = False


class Hypervolume(FrozenModel):
    """How much accuracy and time some networks' front encloses together, ms times points.

    Bounded by `reference_ms` and `reference_accuracy`, the same for all networks of a comparison.
    """

    every: float
    searched: float
    mobilenet_v2: float
    #: a tenth above the slowest network
    reference_ms: float
    #: of guessing, 0 to 1
    reference_accuracy: float


class ComparedRuns(FrozenModel):
    """Networks of several runs on one target, fastest first."""

    target: str
    #: the target in words
    label: str
    precision: Precision
    networks: tuple[RunNetwork, ...]
    hypervolume: Hypervolume

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
        for network in _networks(run.name, "searched", run.report.searched, precision)
    ]
    networks += _baselines(runs, precision)
    return ComparedRuns(
        target=first.report.target,
        label=first.report.identity.label,
        precision=precision,
        networks=with_front(networks),
        hypervolume=hypervolume(networks, first.report.search.space.classes),
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


def hypervolume(networks: Sequence[RunNetwork], classes: int) -> Hypervolume:
    """What the fronts of all networks, of the searched and of MobileNetV2 enclose."""
    reference_ms = _BEYOND_SLOWEST * max(network.measured_ms for network in networks)

    def enclosed(some: Sequence[RunNetwork]) -> float:
        front = [network for network in with_front(some) if network.on_front]
        ends = [*(network.measured_ms for network in front[1:]), reference_ms]
        return sum(
            100 * max(network.accuracy - 1 / classes, 0.0) * (end - network.measured_ms)
            for network, end in zip(front, ends, strict=True)
        )

    by_role: dict[Role, list[RunNetwork]] = {"searched": [], "MobileNetV2": []}
    for network in networks:
        by_role[network.role].append(network)
    return Hypervolume(
        every=enclosed(networks),
        searched=enclosed(by_role["searched"]) if by_role["searched"] else 0.0,
        mobilenet_v2=enclosed(by_role["MobileNetV2"]) if by_role["MobileNetV2"] else 0.0,
        reference_ms=reference_ms,
        reference_accuracy=1 / classes,
    )


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


def _baselines(runs: Sequence[_Run], precision: Precision) -> list[RunNetwork]:
    """Every MobileNetV2 once, however many runs have it."""
    shared: dict[tuple[object, ...], list[tuple[str, RunNetwork]]] = {}
    for run in runs:
        for result in (run.report.baseline, *run.report.further):
            key = (result.network.content_hash, result.start, result.epochs)
            files = {model.precision: model.sha256 for model in result.models}
            for network in _networks(run.name, "MobileNetV2", result, precision):
                shared.setdefault(key, []).append((files[precision], network))
    return [_joined(same) for same in shared.values()]


def _joined(same: Sequence[tuple[str, RunNetwork]]) -> RunNetwork:
    """One network of several runs' with the hash of its file, which tells trainings apart."""
    runs = tuple(dict.fromkeys(run for _, network in same for run in network.runs))
    trained = list(dict(same).values())
    low, high = trained[0].accuracy_low, trained[0].accuracy_high
    if len(trained) > 1:
        low = min(network.accuracy for network in trained)
        high = max(network.accuracy for network in trained)
    return trained[0].model_copy(
        update={
            "runs": runs,
            "trainings": len(trained),
            "accuracy": mean(network.accuracy for network in trained),
            "accuracy_low": low,
            "accuracy_high": high,
            "predicted_ms": mean(network.predicted_ms for network in trained),
            "measured_ms": mean(network.measured_ms for _, network in same),
            "measured_low_ms": min(network.measured_low_ms for _, network in same),
            "measured_high_ms": max(network.measured_high_ms for _, network in same),
        }
    )


def _networks(
    run: str, role: Role, result: NetworkResult, precision: Precision
) -> list[RunNetwork]:
    accuracy, images = (
        (result.accuracy_int8, result.images_int8)
        if precision == "int8"
        else (result.accuracy_float, result.images_float)
    )
    low, high = wilson(accuracy, images) if images else (None, None)
    return [
        RunNetwork(
            runs=(run,),
            role=role,
            network=result.network.name,
            accuracy=accuracy,
            accuracy_low=low,
            accuracy_high=high,
            predicted_ms=model.predicted_ms,
            measured_ms=model.measured_ms,
            measured_low_ms=model.measured_low_ms,
            measured_high_ms=model.measured_high_ms,
        )
        for model in result.models
        if model.precision == precision
    ]
