"""SQL of what runs without pause."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import SUSTAINED, SustainedSubject
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.subjects.rows import SubjectRow
from profiler_server.sustained.rows import SustainedRow


def add(session: Session, row: dict[str, object]) -> bool:
    """Inserts the windows of a task; False if it has some."""
    return insert_absent(session, SustainedRow, [row]) == 1


def of_job(
    session: Session, job_id: str
) -> tuple[str, SustainedSubject, SustainedRow | None] | None:
    """Target, subject and windows, if they are there, of a job's task; None: it has no such."""
    found = session.execute(
        select(TaskRow.target_id, SubjectRow.document, SustainedRow)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .outerjoin(SustainedRow, SustainedRow.task_id == TaskRow.id)
        .where(TaskRow.job_id == job_id, TaskRow.method == SUSTAINED)
    ).first()
    if found is None:
        return None
    return found[0], SustainedSubject.model_validate_json(found[1]), found[2]
