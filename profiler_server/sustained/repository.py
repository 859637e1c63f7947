"""SQL of what runs without pause."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import SUSTAINED, SustainedSubject
from profiler_server.jobs.rows import TaskRow, TaskState
from profiler_server.kit.sql.bulk import insert_or_replace
from profiler_server.subjects.rows import SubjectRow
from profiler_server.sustained.rows import SustainedRow


def is_there(session: Session, task_id: str) -> bool:
    """Whether a task has windows."""
    return session.get(SustainedRow, task_id) is not None


def put(session: Session, row: dict[str, object]) -> None:
    """Inserts the windows of a task, or replaces those that it has."""
    insert_or_replace(session, SustainedRow, [row], ("task_id",))


def of_job(
    session: Session, job_id: str
) -> tuple[str, SustainedSubject, TaskState, SustainedRow | None] | None:
    """Target, subject, state and windows, if there are any, of a job's task; None: no such task."""
    found = session.execute(
        select(TaskRow.target_id, SubjectRow.document, TaskRow.state, SustainedRow)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .outerjoin(SustainedRow, SustainedRow.task_id == TaskRow.id)
        .where(TaskRow.job_id == job_id, TaskRow.method == SUSTAINED)
    ).first()
    if found is None:
        return None
    return found[0], SustainedSubject.model_validate_json(found[1]), found[2], found[3]
