"""The main job: profile, search, train, quantize, measure, report."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from netspec.client import LatencyTable, ProfilerClient
from netspec.operators import PRECISIONS, Precision
from netspec.wire import Entry, Target
from search_client.artifacts import Source
from search_client.data import in_memory, read_data
from search_client.deploy import Deployed, deploy
from search_client.images import Pictures
from search_client.profiling import Profile, measure_models, profile
from search_client.progress import Stages
from search_client.report.content import (
    DeployedModel,
    NetworkResult,
    Report,
    SearchPoint,
    SearchRecord,
)
from search_client.report.page import write_report
from search_client.search import SearchResult
from search_client.searching import Observer, further_tables, run_search
from search_client.settings import Settings


@dataclass(frozen=True)
class Run:
    """What the stages of one run share."""

    client: ProfilerClient
    target: Target
    settings: Settings
    training: Pictures
    test: Pictures
    #: for files and the report
    folder: Path
    stages: Stages


def run(
    client: ProfilerClient,
    target: Target,
    settings: Settings,
    data: Path,
    folder: Path,
    stages: Stages,
    *,
    profile_missing: bool,
    resume: bool = False,
    signals: bool = True,
    observers: Sequence[Observer] = (),
) -> Report:
    """The whole job; leaves `report.json`, `report.html` and the `.tflite` files in `folder`.

    Args:
        client: of the profiler.
        target: whose latency is in the loss, and what the files are measured on.
        settings: of the run.
        data: folder of images.
        folder: for everything.
        stages: shows the progress.
        profile_missing: measure what the table lacks.
        resume: go on from the search's last checkpoint.
        signals: on SIGTERM and SIGINT the search saves itself before it ends.
        observers: further listeners to the search's steps.

    Raises:
        UserError: a stage could not be done; the message says what to do.
    """
    job = _begin(client, target, settings, data, folder, stages)
    training, test, settings = in_memory(job.training), in_memory(job.test), job.settings
    profiled = _profile(job) if profile_missing else _published(job)
    found = _search(job, profiled.table, data, resume=resume, signals=signals, observers=observers)
    reference_ms = _reference_ms(job, profiled.table)
    source = Source(folder.name, profiled.table.snapshot.id, str(data))
    networks = {"searched": found.network.with_precision("float32")}
    for index, network in enumerate(settings.every_baseline("float32")):
        networks[f"baseline{index}" if index else "baseline"] = network
    deployed = {}
    for role, network in networks.items():
        deployed[role] = deploy(network, training, test, settings, stages, source)
        deployed[role].artifact.save(folder, role)
    results = _measure(job, profiled.table, deployed, found.expected_ms[0])
    report = _report(job, profiled, reference_ms, found, results)
    write_report(report, folder)
    return report


def search_only(
    client: ProfilerClient,
    target: Target,
    settings: Settings,
    data: Path,
    folder: Path,
    stages: Stages,
    *,
    profile_missing: bool,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> SearchResult:
    """The job up to the network found; args as in `run`.

    Raises:
        UserError: a stage could not be done; the message says what to do.
    """
    job = _begin(client, target, settings, data, folder, stages)
    profiled = _profile(job) if profile_missing else _published(job)
    return _search(job, profiled.table, data, resume=resume, signals=True, observers=observers)


def _begin(
    client: ProfilerClient,
    target: Target,
    settings: Settings,
    data: Path,
    folder: Path,
    stages: Stages,
) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    training, test = read_data(data, settings, stages)
    of_data = settings.for_classes(len(training.classes))
    return Run(client, target, of_data, training, test, folder, stages)


def _reference_ms(job: Run, table: LatencyTable) -> float:
    """What the search aims at on its first target."""
    settings = job.settings
    return settings.latency_ref_ms or table.predict_ms(settings.baseline(settings.precision))


def _search(
    job: Run,
    table: LatencyTable,
    data: Path,
    *,
    resume: bool,
    signals: bool,
    observers: Sequence[Observer],
) -> SearchResult:
    settings = job.settings
    further = [aim.latency_ref_ms for aim in settings.further_targets]
    return run_search(
        settings,
        [table, *further_tables(job.client, settings)],
        [_reference_ms(job, table), *further],
        job.training,
        job.folder,
        job.stages,
        data=data,
        resume=resume,
        signals=signals,
        observers=observers,
    )


def _profile(job: Run) -> Profile:
    with job.stages.stage("profile", f"Profile the space on {job.target.identity.label}"):
        return profile(job.client, job.target, job.settings, job.stages)


def _published(job: Run) -> Profile:
    """The target's newest table, once it is seen to hold all that the run needs."""
    table = LatencyTable(job.client.latest_snapshot(job.target.id))
    operators = job.settings.operators()
    table.values_ms(operators)
    for precision in PRECISIONS:
        table.calibration(precision)
    return Profile(table, reused=len(operators), wanted=len(operators))


def _measure(
    job: Run,
    table: LatencyTable,
    named: Mapping[str, Deployed],
    expected_ms: float,
) -> dict[str, NetworkResult]:
    """Writes the files, has the profiler measure them and puts the numbers together, by role."""
    with job.stages.stage("measure", "Measure the exported files through the profiler"):
        subjects = []
        for role, deployed in named.items():
            for precision, content in deployed.files.items():
                name = _file_name(role, precision)
                (job.folder / name).write_bytes(content)
                subjects.append(job.client.upload_model(content, name))
        measured = measure_models(
            job.client,
            job.target,
            subjects,
            rounds=job.settings.profiling.network_rounds,
            stages=job.stages,
        )
    return {
        role: _result(role, deployed, table, measured, expected_ms if role == "searched" else None)
        for role, deployed in named.items()
    }


def _file_name(role: str, precision: Precision) -> str:
    return f"{role}.{precision}.tflite"


def _result(
    role: str,
    deployed: Deployed,
    table: LatencyTable,
    measured: Mapping[str, Entry],
    expected_ms: float | None,
) -> NetworkResult:
    models = []
    for precision, content in deployed.files.items():
        network = deployed.network.with_precision(precision)
        digest = hashlib.sha256(content).hexdigest()
        entry, predicted_ms = measured[digest], table.predict_ms(network)
        models.append(
            DeployedModel(
                precision=precision,
                file=_file_name(role, precision),
                sha256=digest,
                predicted_ms=predicted_ms,
                measured_ms=entry.value_ms,
                measured_low_ms=entry.low_ms,
                measured_high_ms=entry.high_ms,
                prediction_error_percent=100 * (predicted_ms / entry.value_ms - 1),
                operator_ms=table.values_ms(network.operators),
            )
        )
    int8, float32 = deployed.parity["int8"], deployed.parity["float32"]
    return NetworkResult(
        network=deployed.network,
        expected_ms=expected_ms,
        predicted_ms={model.precision: model.predicted_ms for model in models},
        measured_ms={model.precision: model.measured_ms for model in models},
        accuracy_float=deployed.accuracy_float,
        accuracy_int8=int8.accuracy,
        int8_top1_agreement=int8.top1_agreement,
        int8_tied_agreement=int8.tied_agreement,
        int8_max_steps=int8.max_steps or 0,
        float32_max_difference=float32.max_difference,
        models=tuple(models),
    )


def _report(
    job: Run,
    profiled: Profile,
    reference_ms: float,
    found: SearchResult,
    results: Mapping[str, NetworkResult],
) -> Report:
    space, snapshot = job.settings.space, profiled.table.snapshot
    keys = {
        op.key for precision in PRECISIONS for op in space.with_precision(precision).operators()
    }
    searched, baseline, *further = results.values()
    return Report(
        created_at=datetime.now(UTC),
        target=job.target.id,
        identity=job.target.identity,
        snapshot=snapshot.id,
        entries=len(snapshot.entries),
        entries_reused=profiled.reused,
        latency_ref_ms=reference_ms,
        searched=searched,
        baseline=baseline,
        further=tuple(further),
        prediction_error_percent=max(
            abs(model.prediction_error_percent)
            for result in results.values()
            for model in result.models
        ),
        int8_top1_agreement=min(result.int8_top1_agreement for result in results.values()),
        calibrations=snapshot.calibrations,
        search=_record(job.settings, found),
        table=tuple(entry for entry in snapshot.entries if entry.name in keys),
        seconds=job.stages.seconds,
        versions={
            name: importlib.metadata.version(name)
            for name in ("proxyless-farm", "torch", "ai-edge-litert", "numpy")
        },
    )


def _record(settings: Settings, found: SearchResult) -> SearchRecord:
    return SearchRecord(
        space=settings.spaces("float32")[found.found.variant],
        precision=settings.precision,
        latency_loss=settings.search.latency_loss.kind,
        points=tuple(
            SearchPoint(
                step=epoch.weight_steps,
                phase=epoch.phase,
                loss=epoch.loss,
                accuracy=epoch.accuracy,
                expected_ms=epoch.expected_ms,
                probabilities=tuple(tuple(row) for row in epoch.probabilities),
            )
            for epoch in found.history.epochs
        ),
        choices=tuple(found.choices),
    )
