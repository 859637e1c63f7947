"""SQL of jobs that measure energy."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import EnergyEstimate
from profiler_server.energies.rows import EnergyMeasurementRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class CountedSubject:
    """What a job has measured of one subject on one target."""

    name: str
    target_id: str
    meter: str
    estimate: EnergyEstimate


def of_job(session: Session, job_id: str, most: int) -> list[CountedSubject]:
    """The first measurements of a job, in the order of its tasks."""
    rows = session.execute(
        select(EnergyMeasurementRow, SubjectRow.name)
        .join(TaskRow, TaskRow.id == EnergyMeasurementRow.task_id)
        .join(SubjectRow, SubjectRow.hash == EnergyMeasurementRow.subject_hash)
        .where(TaskRow.job_id == job_id)
        .order_by(TaskRow.position)
        .limit(most)
    )
    return [
        CountedSubject(
            name, row.target_id, row.meter, EnergyEstimate.model_validate_json(row.estimate)
        )
        for row, name in rows
    ]
