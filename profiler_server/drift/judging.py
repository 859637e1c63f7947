"""Is a table still true? What the visits of a recheck say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from netspec.statistics import estimate_each
from netspec.wire import Calibration, NetworkSubject
from profiler_server.drift import repository
from profiler_server.drift.repository import RecheckedSubject
from profiler_server.drift.verdicts import TableVerdict
from profiler_server.entries import repository as measurements
from profiler_server.jobs.rows import JobRow
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.drift import Drift, PredictionError, drift, prediction_error
from profiler_server.latency_tables import published_calibrations
from profiler_server.latency_tables.lookups.factors import operator_factors


def judge(session: Session, job: JobRow) -> TableVerdict:
    """What a finished recheck found."""
    subjects = repository.rechecked_subjects(session, job.id, job.created_at)
    return TableVerdict(
        drift=_drift(subjects),
        error=_error(
            session,
            job.target_id,
            [rechecked for rechecked in subjects if rechecked.subject.kind == "network"],
        ),
    )


def _drift(subjects: Sequence[RecheckedSubject]) -> Drift | None:
    changes = []
    for rechecked in subjects:
        if rechecked.before and rechecked.since:
            before, since = (
                Priced.of_entry(entry.value_ms, entry.low_ms, entry.high_ms, entry.visits)
                for entry in estimate_each([np.array(rechecked.before), np.array(rechecked.since)])
            )
            if min(before.value_ms, since.value_ms) > 0:
                changes.append((rechecked.subject.name, before, since))
    return drift(changes) if changes else None


def _error(
    session: Session, target_id: str, networks: Sequence[RecheckedSubject]
) -> PredictionError | None:
    """Of predictions by the latest calibrations, against what was measured since."""
    published = published_calibrations.latest(session, target_id)
    if published is None:
        return None
    calibrations = {calibration.precision: calibration for calibration in published.calibrations}
    latencies = []
    for rechecked in networks:
        subject = NetworkSubject.model_validate_json(rechecked.subject.document)
        calibration = calibrations.get(subject.precision) if subject.precision else None
        if calibration is None or calibration.held_out is None or not rechecked.since:
            continue
        (measured,) = estimate_each([np.array(rechecked.since)])
        predicted_ms = _predicted_ms(session, target_id, subject, calibration)
        if predicted_ms is not None and measured.value_ms > 0:
            stated_percent = calibration.held_out.mape_percent
            latencies.append((predicted_ms, measured.value_ms, stated_percent))
    return prediction_error(latencies) if latencies else None


def _predicted_ms(
    session: Session, target_id: str, subject: NetworkSubject, calibration: Calibration
) -> float | None:
    """By the entries as they are now; None where one is missing."""
    operators = subject.network.operators
    hashes = {operator.content_hash for operator in operators}
    values: Mapping[str, float] = {
        row.subject_hash: row.value_ms
        for row, _ in measurements.entries_of_subjects(session, target_id, hashes)
        if not row.held_back
    }
    if hashes - values.keys():
        return None
    factors = operator_factors(calibration, operators)
    return calibration.predict_ms(
        sum(
            factor * values[operator.content_hash]
            for factor, operator in zip(factors, operators, strict=True)
        )
    )
