"""The main job: profile, search, train, quantize, measure, report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.client import LatencyTable, ProfilerClient
from netspec.operators import PRECISIONS, Operator
from netspec.wire import Entry, Target
from search_client.data.folders import LabelledImages
from search_client.deployment.trained_network import Source, trained_network_path
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.report.content import Report
from search_client.report.page import write_report
from search_client.runs.folder import claimed
from search_client.runs.load import read_run
from search_client.runs.record import read_record
from search_client.search.search import SearchResult
from search_client.stages.data import read_data
from search_client.stages.deploy import Deployed, deploy, discard, file_name
from search_client.stages.latency_tables import LatencyTables, measured, published, recorded
from search_client.stages.measure import measure_models
from search_client.stages.report import network_result, report_of
from search_client.stages.search import Observer, run_search
from search_client.training import distributed


@dataclass(frozen=True)
class _Job:
    """What a job was asked to do; see `run`."""

    client: ProfilerClient
    target: Target
    settings: Recipe
    data: Path
    folder: Path
    stages: Stages
    profile_missing: bool
    resume: bool
    overwrite: bool
    signals: bool
    observers: Sequence[Observer]

    @contextmanager
    def begun(self) -> Iterator[tuple[_Job, LabelledImages, LabelledImages]]:
        """Hold the job's folder, and read its images: the job for their classes, and both parts."""
        if not (self.resume or self.profile_missing):
            # A search would end for want of a table: before its images are read.
            self.client.latest_snapshot(self.target.id)
        # Under torchrun the first process holds the folder for all.
        first = distributed.rank() == 0
        claim = claimed(self.folder, resume=self.resume, overwrite=self.overwrite)
        with claim if first else nullcontext():
            training, test = read_data(self.data, self.settings, self.stages)
            settings = self.settings.for_classes(len(training.classes))
            yield replace(self, settings=settings), training, test


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
        resume: go on where the job was interrupted, in its search, a training or a finetuning, by
            the tables that it began with.
        overwrite: replace a run that the folder holds.
        signals: on SIGTERM and SIGINT the job saves itself before it ends.
        observers: further listeners to the search's steps.

    Raises:
        UserError: a stage could not be done; the message says what to do.
    """
    job = _Job(
        client,
        target,
        settings,
        data,
        folder,
        stages,
        profile_missing,
        resume,
        overwrite,
        signals,
        observers,
    )
    with job.begun() as (job, training, test):
        return _every_stage(job, training, test)


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
    job = _Job(
        client,
        target,
        settings,
        data,
        folder,
        stages or Stages(),
        profile_missing,
        resume,
        overwrite,
        True,
        observers,
    )
    with job.begun() as (job, training, _):
        return _search(job, training, _tables(job, job.settings.searched_operators()))


def _every_stage(job: _Job, training: LabelledImages, test: LabelledImages) -> Report:
    settings, folder, stages = job.settings, job.folder, job.stages
    tables = _tables(job, settings.operators())
    table = tables.by_target[0]
    for precision in PRECISIONS:
        table.calibration(precision)
    # Before the search writes the settings that it goes on with.
    goes_on = job.resume and _trains_alike(read_record(folder).settings, settings)
    found = _search(job, training, tables)
    source = Source(folder.name, table.snapshot.id, str(job.data))
    networks = {"searched": found.network.with_precision("float32")}
    for index, network in enumerate(settings.every_baseline("float32")):
        networks[f"baseline{index}" if index else "baseline"] = network
    saved = {role: trained_network_path(folder, role) for role in networks}
    if not goes_on:
        for path in saved.values():
            discard(path)
    supernet = read_run(folder) if settings.train.start == "supernet" else None
    deployed = {
        role: deploy(
            network,
            training,
            test,
            settings,
            stages,
            source,
            saved=saved[role],
            resume=goes_on,
            signals=job.signals,
            # MobileNetV2 is in no supernet.
            supernet=supernet if role == "searched" else None,
        )
        for role, network in networks.items()
    }
    entries = _measure(job, deployed)
    expected_ms = {"searched": found.expected_ms[0]}
    results = {
        role: network_result(role, network, table, entries, expected_ms.get(role))
        for role, network in deployed.items()
    }
    report = report_of(job.target, settings, tables, found, results, stages.seconds)
    write_report(report, folder)
    return report


def _trains_alike(before: Recipe, now: Recipe) -> bool:
    """Whether what was trained by one recipe may be taken for what another would train."""
    return (before.train, before.finetune) == (now.train, now.finetune)


def _tables(job: _Job, needed: Sequence[Operator]) -> LatencyTables:
    if job.resume:
        return recorded(job.folder, needed)
    if job.profile_missing:
        return measured(job.client, job.target, job.settings, job.stages)
    return published(job.client, job.target, job.settings, needed)


def _search(job: _Job, training: LabelledImages, tables: LatencyTables) -> SearchResult:
    for table in tables.by_target:
        _tell_if_uncalibrated(job, table)
    return run_search(
        job.settings,
        tables.by_target,
        tables.references_ms,
        training,
        job.folder,
        job.stages,
        data=job.data,
        resume=job.resume,
        signals=job.signals,
        observers=job.observers,
    )


def _tell_if_uncalibrated(job: _Job, table: LatencyTable) -> None:
    precision = job.settings.precision
    if table.snapshot.calibration(precision) is None:
        job.stages.note(
            f"The table of target {table.snapshot.target_id} has no {precision} calibration: "
            "latencies are plain sums of its entries, and whole networks may take several percent "
            "more or less"
        )


def _measure(job: _Job, deployed: Mapping[str, Deployed]) -> dict[str, Entry]:
    """Writes the files and has the profiler measure them; entries by the file's SHA-256."""
    with job.stages.stage("measure", "Measure the exported files through the profiler"):
        subjects = []
        for role, network in deployed.items():
            for precision, content in network.files.items():
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
