"""The main job: profile, search, train, quantize, measure, report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from netspec.client import LatencyTable, ProfilerClient
from netspec.errors import ProfilerRefused
from netspec.networks import Network
from netspec.operators import PRECISIONS
from netspec.wire import Entry, Target, TargetRepeatability
from search_client.data.folders import LabelledImages
from search_client.deployment.trained_network import Source, trained_network_path
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.report.content import DeviceResult, NetworkResult, Report
from search_client.report.page import write_report
from search_client.runs.folder import claimed
from search_client.runs.load import read_run
from search_client.runs.record import read_record
from search_client.search.search import SearchResult
from search_client.stages.data import find_data
from search_client.stages.deploy import Deployed, deploy, discard, file_name
from search_client.stages.device_accuracy import results_on_device
from search_client.stages.latency_tables import LatencyTables, measured, published, recorded
from search_client.stages.measure import measure_models
from search_client.stages.report import network_result, provenance_of, report_of
from search_client.stages.search import run_search
from search_client.training import distributed


@dataclass(frozen=True)
class Pipeline:
    """What one run is made of; `run` does all of it.

    `search_only` ends with the network found, `deploy` with the files, before they are measured.

    Args:
        client: of the profiler.
        target: whose latency is in the loss, and what the files are measured on.
        settings: of the run.
        data: folder of images.
        folder: for everything.
        stages: shows the progress, by default on stderr.
        profile_missing: measure what the table lacks.
        resume: go on where the run was interrupted, in its search, a training or a finetuning, by
            the tables that it began with.
        overwrite: replace a run that the folder holds.
        signals: on SIGTERM and SIGINT the run saves itself before it ends.
    """

    client: ProfilerClient
    target: Target
    settings: Recipe
    data: Path
    folder: Path
    stages: Stages = field(default_factory=Stages)
    profile_missing: bool = False
    resume: bool = False
    overwrite: bool = False
    signals: bool = True

    def run(self) -> Report:
        """Do the whole job; `folder` gets `report.json`, `report.html` and the `.tflite` files.

        Raises:
            UserError: a stage could not be done; the message says what to do.
        """
        with self._begun(whole=True) as (begun, tables, training, test):
            return _every_stage(begun, tables, training, test)

    def search_only(self) -> SearchResult:
        """Do the job up to the network found.

        Raises:
            UserError: a stage could not be done; the message says what to do.
        """
        with self._begun(whole=False) as (begun, tables, training, _):
            return _search(begun, training, tables)

    def deploy(self) -> dict[str, Deployed]:
        """Do the job up to the `.tflite` files in `folder`: searched and baselines, by role.

        Raises:
            UserError: a stage could not be done; the message says what to do.
        """
        with self._begun(whole=True) as (begun, tables, training, test):
            return _up_to_files(begun, tables, training, test)[1]

    @contextmanager
    def _begun(
        self, *, whole: bool
    ) -> Iterator[tuple[Pipeline, LatencyTables, LabelledImages, LabelledImages]]:
        """Hold the folder, with tables and images: the pipeline for the images' classes.

        What a table lacks is told before an image is read.
        """
        found = find_data(self.data, self.settings, self.stages)
        begun = replace(self, settings=self.settings.for_classes(len(found.classes)))
        tables = _known_tables(begun, whole=whole)
        # Under torchrun the first process holds the folder for all.
        first = distributed.rank() == 0
        claim = claimed(self.folder, resume=self.resume, overwrite=self.overwrite)
        with claim if first else nullcontext():
            training, test = found.read()
            if tables is None:
                tables = measured(begun.client, begun.target, begun.settings, begun.stages)
            yield begun, tables, training, test


def _known_tables(pipeline: Pipeline, *, whole: bool) -> LatencyTables | None:
    """What is known before the images are read; None: it is to be measured.

    Raises:
        UserError: a table, an operator in it or the search to resume is missing, or, for the
            whole job, a calibration.
    """
    settings = pipeline.settings
    needed = settings.operators() if whole else settings.searched_operators()
    if pipeline.resume:
        tables = recorded(pipeline.folder, needed)
    elif pipeline.profile_missing:
        return None
    else:
        tables = published(pipeline.client, pipeline.target, settings, needed, pipeline.stages)
    if whole:
        _require_calibrations(tables)
    return tables


def _every_stage(
    pipeline: Pipeline, tables: LatencyTables, training: LabelledImages, test: LabelledImages
) -> Report:
    stages, table = pipeline.stages, tables.by_target[0]
    found, deployed = _up_to_files(pipeline, tables, training, test)
    entries = _measure(pipeline, deployed)
    expected_ms = {"searched": found.expected_ms[0]}
    on_device = _on_device(pipeline, deployed, test)
    results = {
        role: network_result(
            role, network, table, entries, expected_ms.get(role), on_device.get(role)
        )
        for role, network in deployed.items()
    }
    for role, result in results.items():
        stages.observe(f"report/{role}", 0, _outcome(result), now=True)
    provenance = provenance_of(read_record(pipeline.folder), len(training), len(test))
    report = report_of(
        pipeline.target,
        pipeline.settings,
        tables,
        found,
        results,
        stages.seconds,
        provenance,
        _repeatability(pipeline),
    )
    with stages.stage("report", "Write the report and its figures"):
        write_report(report, pipeline.folder)
    return report


def _up_to_files(
    pipeline: Pipeline, tables: LatencyTables, training: LabelledImages, test: LabelledImages
) -> tuple[SearchResult, dict[str, Deployed]]:
    settings, folder, stages = pipeline.settings, pipeline.folder, pipeline.stages
    _require_calibrations(tables)
    # Before the search writes the settings that it goes on with.
    goes_on = pipeline.resume and _trains_alike(read_record(folder).settings, settings)
    found = _search(pipeline, training, tables)
    source = Source.of(folder, tables.by_target[0].snapshot.id, pipeline.data)
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
            signals=pipeline.signals,
            # MobileNetV2 is in no supernet.
            supernet=supernet if role == "searched" else None,
        )
        for role, network in networks.items()
    }
    for role, one in deployed.items():
        for precision, content in one.files.items():
            (folder / file_name(role, precision)).write_bytes(content)
    return found, deployed


def _on_device(
    pipeline: Pipeline, deployed: Mapping[str, Deployed], test: LabelledImages
) -> dict[str, DeviceResult]:
    """What the target's device gives for test images, by role, where the recipe asks for it."""
    most = pipeline.settings.device_images
    if not most:
        return {}
    return results_on_device(
        pipeline.client, pipeline.target, deployed, test, most, pipeline.stages
    )


def _repeatability(pipeline: Pipeline) -> TargetRepeatability | None:
    """How well the target's latencies repeat; None where the profiler is of a version before."""
    try:
        return pipeline.client.repeatability(pipeline.target.id)
    except ProfilerRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return None


def _outcome(result: NetworkResult) -> dict[str, float]:
    """Return the numbers by which runs are compared, for their observers."""
    measured = {f"measured_ms_{name}": value for name, value in result.measured_ms.items()}
    predicted = {f"predicted_ms_{name}": value for name, value in result.predicted_ms.items()}
    accuracy = {"accuracy_float": result.accuracy_float, "accuracy_int8": result.accuracy_int8}
    if result.on_device is not None:
        accuracy["accuracy_on_device"] = result.on_device.accuracy
    return {**accuracy, **measured, **predicted}


def _trains_alike(before: Recipe, now: Recipe) -> bool:
    """Whether what was trained by one recipe may be taken for what another would train."""
    return (before.train, before.finetune) == (now.train, now.finetune)


def _require_calibrations(tables: LatencyTables) -> None:
    """Raise `NoCalibration` where whole networks of a precision cannot be predicted."""
    for precision in PRECISIONS:
        tables.by_target[0].calibration(precision)


def _search(pipeline: Pipeline, training: LabelledImages, tables: LatencyTables) -> SearchResult:
    for table in tables.by_target:
        _tell_if_uncalibrated(pipeline, table)
    result = run_search(
        pipeline.settings,
        tables.by_target,
        tables.references_ms,
        training,
        pipeline.folder,
        pipeline.stages,
        data=pipeline.data,
        resume=pipeline.resume,
        signals=pipeline.signals,
    )
    for table in tables.by_target:
        _tell_if_unlike(pipeline, table, result.network)
    return result


def _tell_if_uncalibrated(pipeline: Pipeline, table: LatencyTable) -> None:
    precision = pipeline.settings.precision
    if table.snapshot.calibration(precision) is None:
        pipeline.stages.note(
            f"The table of target {table.snapshot.target_id} has no {precision} calibration: "
            "latencies are plain sums of its entries, and whole networks may take several percent "
            "more or less"
        )


def _tell_if_unlike(pipeline: Pipeline, table: LatencyTable, network: Network) -> None:
    if table.snapshot.calibration(network.operators[0].precision) is None:
        return
    for difference in table.unlike(network):
        pipeline.stages.note(
            "The network found is unlike those that the table of target "
            f"{table.snapshot.target_id} is calibrated on, so that its latency may be off by more "
            f"than the calibration states: {difference}"
        )


def _measure(pipeline: Pipeline, deployed: Mapping[str, Deployed]) -> dict[str, Entry]:
    """Has the profiler measure the files; entries by the file's SHA-256."""
    with pipeline.stages.stage("measure", "Measure the exported files through the profiler"):
        subjects = [
            pipeline.client.upload_model(content, file_name(role, precision))
            for role, network in deployed.items()
            for precision, content in network.files.items()
        ]
        return measure_models(
            pipeline.client,
            pipeline.target,
            subjects,
            rounds=pipeline.settings.profiling.network_rounds,
            stages=pipeline.stages,
        )
