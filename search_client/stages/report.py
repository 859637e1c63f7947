"""What a run came to, put together for its report."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from netspec.client import LatencyTable
from netspec.operators import PRECISIONS
from netspec.wire import Entry, Target, TargetRepeatability
from search_client.latency.energy import EnergyFound
from search_client.recipe import Recipe
from search_client.report.content import (
    DeployedModel,
    Derivation,
    DeviceResult,
    EnergyOutcome,
    NetworkResult,
    Provenance,
    Report,
    SearchPoint,
    SearchRecord,
)
from search_client.runs.record import RunRecord
from search_client.search.history import SearchEpoch
from search_client.search.search import SearchResult
from search_client.stages.deploy import MOST_COMPARED, Deployed, file_name
from search_client.stages.latency_tables import LatencyTables

#: packages whose versions a report holds
PACKAGES = ("proxyless-farm", "torch", "ai-edge-litert", "numpy")


def network_result(
    role: str,
    deployed: Deployed,
    table: LatencyTable,
    measured: Mapping[str, Entry],
    expected_ms: float | None,
    on_device: DeviceResult | None,
) -> NetworkResult:
    """One deployed network, predicted and measured.

    Args:
        role: of the network in the run, in its files' names.
        deployed: the network.
        table: predicts, calibrated in both precisions.
        measured: entries of the files by their SHA-256.
        expected_ms: E[LAT] of the search that found it.
        on_device: its int8 file on the target's device.
    """
    models = []
    for precision, content in deployed.files.items():
        network = deployed.network.with_precision(precision)
        digest = hashlib.sha256(content).hexdigest()
        entry, predicted_ms = measured[digest], table.predict_ms(network)
        models.append(
            DeployedModel(
                precision=precision,
                file=file_name(role, precision),
                sha256=digest,
                predicted_ms=predicted_ms,
                measured_ms=entry.value_ms,
                measured_low_ms=entry.low_ms,
                measured_high_ms=entry.high_ms,
                prediction_error_percent=100 * (predicted_ms / entry.value_ms - 1),
                operator_ms=table.values_ms(network.operators),
                unlike=table.unlike(network),
            )
        )
    int8, float32 = deployed.parity["int8"], deployed.parity["float32"]
    return NetworkResult(
        network=deployed.network,
        start=deployed.start,
        epochs=deployed.epochs,
        expected_ms=expected_ms,
        predicted_ms={model.precision: model.predicted_ms for model in models},
        measured_ms={model.precision: model.measured_ms for model in models},
        accuracy_float=deployed.accuracy_float,
        accuracy_int8=int8.accuracy,
        images_float=deployed.test_images,
        images_int8=min(deployed.test_images, MOST_COMPARED),
        on_device=on_device,
        int8_top1_agreement=int8.top1_agreement,
        int8_tied_agreement=int8.tied_agreement,
        int8_max_steps=int8.max_steps or 0,
        float32_max_difference=float32.max_difference,
        models=tuple(models),
    )


def report_of(
    target: Target,
    settings: Recipe,
    tables: LatencyTables,
    found: SearchResult,
    results: Mapping[str, NetworkResult],
    seconds: dict[str, float],
    provenance: Provenance,
    repeatability: TargetRepeatability | None,
) -> Report:
    """The report of a whole run.

    Args:
        target: on which was measured.
        settings: of the run.
        tables: what the search aimed at, and by which tables.
        found: where it ended.
        results: by role: the searched network, the baseline, the further ones.
        seconds: wall time by stage.
        provenance: what it takes to make the run again.
        repeatability: of the target.
    """
    record, snapshot = search_record(settings, found), tables.by_target[0].snapshot
    keys = {
        operator.key
        for precision in PRECISIONS
        for operator in record.space.with_precision(precision).operators()
    }
    searched, baseline, *further = results.values()
    return Report(
        created_at=datetime.now(UTC),
        target=target.id,
        identity=target.identity,
        snapshot=snapshot.id,
        entries=len(snapshot.entries),
        entries_reused=tables.reused,
        latency_ref_ms=tables.references_ms[0],
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
        search=record,
        table=tuple(entry for entry in snapshot.entries if entry.name in keys),
        seconds=seconds,
        versions={
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "python": platform.python_version(),
        },
        provenance=provenance,
        repeatability=repeatability,
    )


def provenance_of(record: RunRecord, training_images: int, test_images: int) -> Provenance:
    """What it takes to make a run again, by its record and the command of this process."""
    return Provenance(
        command=_command(sys.argv),
        recipe=record.settings.model_dump(mode="json"),
        data=record.data,
        fingerprint=record.fingerprint,
        training_images=training_images,
        test_images=test_images,
        processes=record.processes,
    )


def _command(arguments: list[str]) -> str:
    """A command line without the passwords that addresses may hold."""
    program, *others = arguments
    line = shlex.join([Path(program).name, *others])
    return re.sub(r"(://)[^/@\s]+@", r"\1", line)


def search_record(settings: Recipe, found: SearchResult) -> SearchRecord:
    """How the search went, for the size and width that it chose."""
    width = _width(settings, found.found.variant)
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
                probabilities=_probabilities(settings, epoch, width),
            )
            for epoch in found.history.epochs
        ),
        choices=tuple(found.choices),
        architecture_steps=len(found.history.architecture_steps),
        gradient_snr=found.history.gradient_snr,
        derivation=Derivation(
            rule=found.found.rule,
            tolerance=settings.search.tolerance,
            log_probability=found.found.log_probability,
            predicted_ms=found.found.latency_ms[0],
            likeliest_ms=found.most_likely.latency_ms[0],
        ),
        energy=None if found.energy is None else _energy(found.energy),
    )


def _energy(found: EnergyFound) -> EnergyOutcome:
    return EnergyOutcome(
        reference_mj=found.reference_mj,
        weight=found.weight,
        expected_mj=found.expected_mj,
        found_mj=found.found_mj,
    )


def _probabilities(
    settings: Recipe, epoch: SearchEpoch, width: int
) -> tuple[tuple[float, ...], ...]:
    """An epoch's, where they are of the width that was chosen in the end."""
    likeliest = max(range(len(epoch.variants)), key=epoch.variants.__getitem__)
    if _width(settings, likeliest) != width:
        return ()
    return tuple(tuple(row) for row in epoch.probabilities)


def _width(settings: Recipe, variant: int) -> int:
    """Index of a variant's width: sizes vary fastest."""
    return variant // max(1, len(settings.sizes or settings.space.sizes))
