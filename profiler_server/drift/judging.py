"""Is a table still true? What the visits of a recheck say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from netspec.statistics import estimate_each
from netspec.wire import Calibration, NetworkSubject
from profiler_server.drift import repository
from profiler_server.drift.repository import Look
from profiler_server.drift.verdicts import TableVerdict
from profiler_server.entries import repository as measurements
from profiler_server.jobs.rows import JobRow
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.drift import Drift, PredictionError, drift, prediction_error
from profiler_server.latency_tables import published_calibrations
from profiler_server.latency_tables.lookups.lookup import operator_factors


def judge(session: Session, job: JobRow) -> TableVerdict:
    """What a finished recheck found."""
    looks = repository.looks(session, job.id, job.created_at)
    return TableVerdict(
        drift=_drift(looks),
        error=_error(
            session, job.target_id, [one for one in looks if one.subject.kind == "network"]
        ),
    )


def _drift(looks: Sequence[Look]) -> Drift | None:
    found = []
    for one in looks:
        if one.before and one.since:
            before, since = (
                Priced.of_entry(each.value_ms, each.low_ms, each.high_ms, each.visits)
                for each in estimate_each([np.array(one.before), np.array(one.since)])
            )
            if min(before.value_ms, since.value_ms) > 0:
                found.append((one.subject.name, before, since))
    return drift(found) if found else None


def _error(session: Session, target_id: str, networks: Sequence[Look]) -> PredictionError | None:
    """Of predictions by the latest calibrations, against what was measured since."""
    published = published_calibrations.latest(session, target_id)
    if published is None:
        return None
    calibrations = {one.precision: one for one in published.calibrations}
    found = []
    for one in networks:
        subject = NetworkSubject.model_validate_json(one.subject.document)
        calibration = calibrations.get(subject.precision) if subject.precision else None
        if calibration is None or calibration.held_out is None or not one.since:
            continue
        (measured,) = estimate_each([np.array(one.since)])
        predicted_ms = _predicted_ms(session, target_id, subject, calibration)
        if predicted_ms is not None and measured.value_ms > 0:
            stated_percent = calibration.held_out.mape_percent
            found.append((predicted_ms, measured.value_ms, stated_percent))
    return prediction_error(found) if found else None


def _predicted_ms(
    session: Session, target_id: str, subject: NetworkSubject, calibration: Calibration
) -> float | None:
    """By the entries as they are now; None where one is missing."""
    operators = subject.network.operators
    hashes = {one.content_hash for one in operators}
    values: Mapping[str, float] = {
        row.subject_hash: row.value_ms
        for row, _ in measurements.entries_of_subjects(session, target_id, hashes)
    }
    if hashes - values.keys():
        return None
    factors = operator_factors(calibration, operators)
    return calibration.predict_ms(
        sum(
            factor * values[one.content_hash]
            for factor, one in zip(factors, operators, strict=True)
        )
    )
