"""The main job: profile, search, train, quantize, measure, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from netspec.client import LatencyTable, ProfilerClient
from netspec.operators import PRECISIONS, Operator
from netspec.wire import Entry, Target
from search_client.data.folders import LabelledImages
from search_client.deployment.trained_network import Source
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.report.content import Report
from search_client.report.page import write_report
from search_client.runs.folder import claimed
from search_client.search.search import SearchResult
from search_client.stages.data import in_memory, read_data
from search_client.stages.deploy import Deployed, deploy, file_name
from search_client.stages.latency_tables import LatencyTables, measured, published, recorded
from search_client.stages.profile import measure_models
from search_client.stages.report import network_result, report_of
from search_client.stages.search import Observer, run_search
from search_client.training import distributed


@dataclass(frozen=True)
class Run:
    """What the stages of one run share."""

    client: ProfilerClient
    target: Target
    settings: Recipe
    training: LabelledImages
    test: LabelledImages
    #: where the images come from
    data: Path
    #: for files and the report
    folder: Path
    stages: Stages


def run(
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    data: Path,
    folder: Path,
    stages: Stages,
    *,
    profile_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
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
        resume: go on from the search's last checkpoint, by the tables that it began with.
        overwrite: replace a run that the folder holds.
        signals: on SIGTERM and SIGINT the search saves itself before it ends.
        observers: further listeners to the search's steps.

    Raises:
        UserError: a stage could not be done; the message says what to do.
    """
    _require_table(client, target, needed=not (resume or profile_missing))
    with claimed(folder, resume=resume, overwrite=overwrite):
        job = _begin(client, target, settings, data, folder, stages)
        return _every_stage(
            job,
            profile_missing=profile_missing,
            resume=resume,
            signals=signals,
            observers=observers,
        )


def _every_stage(
    job: Run, *, profile_missing: bool, resume: bool, signals: bool, observers: Sequence[Observer]
) -> Report:
    training, test, settings = in_memory(job.training), in_memory(job.test), job.settings
    folder, stages = job.folder, job.stages
    tables = _tables(job, settings.operators(), profile_missing=profile_missing, resume=resume)
    table = tables.by_target[0]
    for precision in PRECISIONS:
        table.calibration(precision)
    found = _search(job, tables, resume=resume, signals=signals, observers=observers)
    source = Source(folder.name, table.snapshot.id, str(job.data))
    networks = {"searched": found.network.with_precision("float32")}
    for index, network in enumerate(settings.every_baseline("float32")):
        networks[f"baseline{index}" if index else "baseline"] = network
    deployed = {}
    for role, network in networks.items():
        deployed[role] = deploy(network, training, test, settings, stages, source)
        deployed[role].trained.save(folder, role)
    entries = _measure(job, deployed)
    expected_ms = {"searched": found.expected_ms[0]}
    results = {
        role: network_result(role, one, table, entries, expected_ms.get(role))
        for role, one in deployed.items()
    }
    report = report_of(job.target, settings, tables, found, results, stages.seconds)
    write_report(report, folder)
    return report


def search_only(
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    data: Path,
    folder: Path,
    stages: Stages | None = None,
    *,
    profile_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    observers: Sequence[Observer] = (),
) -> SearchResult:
    """The job up to the network found; args as in `run`, and progress is shown on stderr.

    Raises:
        UserError: a stage could not be done; the message says what to do.
    """
    _require_table(client, target, needed=not (resume or profile_missing))
    # Under torchrun the first process holds the folder for all.
    first = distributed.rank() == 0
    with claimed(folder, resume=resume, overwrite=overwrite) if first else nullcontext():
        job = _begin(client, target, settings, data, folder, stages or Stages())
        needed = job.settings.searched_operators()
        tables = _tables(job, needed, profile_missing=profile_missing, resume=resume)
        return _search(job, tables, resume=resume, signals=True, observers=observers)


def _require_table(client: ProfilerClient, target: Target, *, needed: bool) -> None:
    """Raise `NoTable` where a search would end for want of one, before its images are read."""
    if needed:
        client.latest_snapshot(target.id)


def _begin(
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    data: Path,
    folder: Path,
    stages: Stages,
) -> Run:
    training, test = read_data(data, settings, stages)
    of_data = settings.for_classes(len(training.classes))
    return Run(client, target, of_data, training, test, data, folder, stages)


def _tables(
    job: Run, needed: Sequence[Operator], *, profile_missing: bool, resume: bool
) -> LatencyTables:
    if resume:
        return recorded(job.folder, needed)
    if profile_missing:
        return measured(job.client, job.target, job.settings, job.stages)
    return published(job.client, job.target, job.settings, needed)


def _search(
    job: Run, tables: LatencyTables, *, resume: bool, signals: bool, observers: Sequence[Observer]
) -> SearchResult:
    for table in tables.by_target:
        _tell_if_uncalibrated(job, table)
    return run_search(
        job.settings,
        tables.by_target,
        tables.references_ms,
        job.training,
        job.folder,
        job.stages,
        data=job.data,
        resume=resume,
        signals=signals,
        observers=observers,
    )


def _tell_if_uncalibrated(job: Run, table: LatencyTable) -> None:
    precision = job.settings.precision
    if table.snapshot.calibration(precision) is None:
        job.stages.note(
            f"The table of target {table.snapshot.target_id} has no {precision} calibration: "
            "latencies are plain sums of its entries, and whole networks may take several percent "
            "more or less"
        )


def _measure(job: Run, deployed: Mapping[str, Deployed]) -> dict[str, Entry]:
    """Writes the files and has the profiler measure them; entries by the file's SHA-256."""
    with job.stages.stage("measure", "Measure the exported files through the profiler"):
        subjects = []
        for role, one in deployed.items():
            for precision, content in one.files.items():
                name = file_name(role, precision)
                (job.folder / name).write_bytes(content)
                subjects.append(job.client.upload_model(content, name))
        return measure_models(
            job.client,
            job.target,
            subjects,
            rounds=job.settings.profiling.network_rounds,
            stages=job.stages,
        )
