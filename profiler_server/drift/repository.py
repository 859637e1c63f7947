"""SQL of rechecks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from profiler_server.jobs.tables import JobRow, SubjectRow, TaskRow, TaskState
from profiler_server.measurements.tables import VisitRow

#: p5 of visits (us) stored before and since a moment
Samples = tuple[list[float], list[float]]


def latest_job(session: Session, target_id: str, name: str) -> JobRow | None:
    """The target's newest job of that name that was not cancelled."""
    return session.scalar(
        select(JobRow)
        .where(JobRow.target_id == target_id, JobRow.name == name, JobRow.cancelled_at.is_(None))
        .order_by(JobRow.created_at.desc(), JobRow.id.desc())
        .limit(1)
    )


def task_states(session: Session, job_id: str) -> set[TaskState]:
    """The states that tasks of the job are in."""
    return set(session.scalars(select(TaskRow.state).where(TaskRow.job_id == job_id).distinct()))


def samples(session: Session, job_id: str, since: datetime) -> dict[str, Samples]:
    """Accepted visits of a job's subjects, by the subject's name."""
    found: dict[str, Samples] = {}
    of_task = (VisitRow.subject_hash == TaskRow.subject_hash) & (
        VisitRow.target_id == TaskRow.target_id
    )
    for name, p5_us, stored_at in session.execute(
        select(SubjectRow.name, VisitRow.p5_us, VisitRow.stored_at)
        .join(TaskRow, TaskRow.subject_hash == SubjectRow.hash)
        .join(VisitRow, of_task)
        .where(TaskRow.job_id == job_id, VisitRow.rejected == "")
        .order_by(SubjectRow.name, VisitRow.p5_us)
    ):
        found.setdefault(name, ([], []))[int(stored_at >= since)].append(p5_us)
    return found
