"""SQL of jobs that pick their operators in steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from netspec.operators import Operator
from netspec.wire import ISOLATED, OperatorSubject
from profiler_server.jobs import repository
from profiler_server.jobs.rows import JobRow, TaskRow
from profiler_server.kit.sql.many_values import is_in
from profiler_server.subjects.rows import SubjectRow


def planned_jobs(session: Session, task_ids: Collection[str]) -> Sequence[str]:
    """The jobs of the tasks that may pick more, by id."""
    query = (
        select(JobRow.id)
        .join(TaskRow, TaskRow.job_id == JobRow.id)
        .where(
            is_in(session, TaskRow.id, task_ids),
            JobRow.plan.is_not(None),
            JobRow.cancelled_at.is_(None),
        )
        .distinct()
        .order_by(JobRow.id)
    )
    return session.scalars(query).all()


def operators(session: Session, job_id: str, hashes: Collection[str]) -> list[Operator]:
    """The operators that the job has tasks for, and those of the hashes, by name."""
    of_job = select(TaskRow.subject_hash).where(TaskRow.job_id == job_id)
    documents = session.scalars(
        select(SubjectRow.document)
        .where(
            SubjectRow.kind == "operator",
            SubjectRow.hash.in_(of_job) | is_in(session, SubjectRow.hash, hashes),
        )
        .order_by(SubjectRow.name)
    )
    return [OperatorSubject.model_validate_json(document).operator for document in documents]


def add_tasks(session: Session, job_id: str, subject_hashes: Sequence[str]) -> None:
    """Inserts a queued task for each subject on each of the job's targets, after the others."""
    last = select(func.coalesce(func.max(TaskRow.position), -1)).where(TaskRow.job_id == job_id)
    position = session.execute(last).scalar_one() + 1
    target_ids = repository.target_ids(session, job_id)
    repository.add_tasks(session, job_id, target_ids, subject_hashes, ISOLATED, position)
