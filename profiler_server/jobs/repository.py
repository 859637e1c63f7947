"""SQL of jobs and tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import TaskFailure, TaskMethod
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.rows import EntryRow
from profiler_server.jobs.rows import (
    OPEN_STATES,
    JobRow,
    TaskFailureRow,
    TaskRow,
    TaskState,
)
from profiler_server.jobs.task_repository import lock
from profiler_server.kit.ids import new_id
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class StateCount:
    """A job's tasks in one state."""

    state: TaskState
    tasks: int
    visits_done: int


def add_job(
    session: Session,
    job: JobRow,
    target_ids: Sequence[str],
    subject_hashes: Sequence[str],
    method: TaskMethod,
) -> None:
    """Inserts a job and a queued task for each subject on each target."""
    session.add(job)
    session.flush()
    add_tasks(session, job.id, target_ids, subject_hashes, method, 0)


def add_tasks(
    session: Session,
    job_id: str,
    target_ids: Sequence[str],
    subject_hashes: Sequence[str],
    method: TaskMethod,
    first_position: int,
) -> None:
    """Inserts a queued task for each subject on each target."""
    rows = [
        {
            "id": new_id("task"),
            "job_id": job_id,
            "target_id": target_id,
            "subject_hash": subject_hash,
            "position": position,
            "state": TaskState.QUEUED,
            "visits_done": 0,
            "failures": 0,
            "reason": "",
            "method": method,
        }
        for position, (subject_hash, target_id) in enumerate(
            product(subject_hashes, target_ids), first_position
        )
    ]
    insert_absent(session, TaskRow, rows)


def job(session: Session, job_id: str) -> JobRow | None:
    """One job."""
    return session.get(JobRow, job_id)


def lock_job(session: Session, job_id: str) -> JobRow:
    """The job as it is now, kept from others until this transaction ends."""
    one = select(JobRow).where(JobRow.id == job_id).with_for_update(key_share=True)
    return session.execute(one.execution_options(populate_existing=True)).scalar_one()


def latest_of_name(session: Session, target_id: str, name: str) -> JobRow | None:
    """The target's newest job of that name that was not cancelled."""
    return session.scalar(
        select(JobRow)
        .where(JobRow.target_id == target_id, JobRow.name == name, JobRow.cancelled_at.is_(None))
        .order_by(JobRow.created_at.desc(), JobRow.id.desc())
        .limit(1)
    )


def has_open_tasks(session: Session, job_id: str) -> bool:
    """Whether something of the job is still to be measured."""
    is_open = exists().where(TaskRow.job_id == job_id, TaskRow.state.in_(OPEN_STATES))
    return bool(session.scalar(select(is_open)))


def latest_jobs(session: Session, page_request: PageRequest) -> Page[JobRow]:
    """Jobs, newest first."""
    order = (JobRow.created_at, JobRow.id)
    page = read_page(session, select(JobRow), order, page_request, descending=True)
    return page.with_items([row[0] for row in page.items])


def state_counts(session: Session, job_ids: Collection[str]) -> dict[str, list[StateCount]]:
    """How the jobs' tasks stand."""
    found: dict[str, list[StateCount]] = {job_id: [] for job_id in job_ids}
    for job_id, state, tasks, visits_done in session.execute(
        select(TaskRow.job_id, TaskRow.state, func.count(), func.sum(TaskRow.visits_done))
        .where(TaskRow.job_id.in_(job_ids))
        .group_by(TaskRow.job_id, TaskRow.state)
    ):
        found[job_id].append(StateCount(state, tasks, int(visits_done)))
    return found


def target_ids(session: Session, job_ids: Collection[str]) -> dict[str, list[str]]:
    """The jobs' targets, in the order of their tasks."""
    found: dict[str, list[str]] = {job_id: [] for job_id in job_ids}
    for job_id, target_id in session.execute(
        select(TaskRow.job_id, TaskRow.target_id)
        .where(TaskRow.job_id.in_(job_ids))
        .group_by(TaskRow.job_id, TaskRow.target_id)
        .order_by(func.min(TaskRow.position))
    ):
        found[job_id].append(target_id)
    return found


def retry(session: Session, job_id: str) -> int:
    """Returns the job's failed tasks to the queue, their failures forgotten; how many."""
    failed = lock(session, TaskRow.job_id == job_id, TaskRow.state == TaskState.FAILED)
    session.execute(delete(TaskFailureRow).where(is_in(session, TaskFailureRow.task_id, failed)))
    fresh = {"state": TaskState.QUEUED, "failures": 0, "reason": "", "retry_at": None}
    session.execute(
        update(TaskRow)
        .where(is_in(session, TaskRow.id, failed))
        .values(**fresh, lease_id=None)
        .execution_options(synchronize_session=False)
    )
    return len(failed)


def failures(session: Session, job_ids: Collection[str]) -> dict[str, list[TaskFailure]]:
    """The jobs' tasks that were given up, in the job's order."""
    found: dict[str, list[TaskFailure]] = {job_id: [] for job_id in job_ids}
    for job_id, target_id, name, reason in session.execute(
        select(TaskRow.job_id, TaskRow.target_id, SubjectRow.name, TaskRow.reason)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .where(TaskRow.job_id.in_(job_ids), TaskRow.state == TaskState.FAILED)
        .order_by(TaskRow.position)
    ):
        found[job_id].append(TaskFailure(subject=name, reason=reason, target_id=target_id))
    return found


def note_visits_at_start(session: Session, job_id: str) -> None:
    """Keeps how many visits of the job's open tasks were there from the start."""
    there = (
        select(func.coalesce(func.sum(TaskRow.visits_done), 0))
        .where(TaskRow.job_id == job_id, TaskRow.state.in_(OPEN_STATES))
        .scalar_subquery()
    )
    session.execute(update(JobRow).where(JobRow.id == job_id).values(visits_at_start=there))


def note_started(session: Session, task_ids: Collection[str], now: datetime) -> None:
    """Notes the first lease of the tasks' jobs."""
    their_jobs = select(TaskRow.job_id).where(TaskRow.id.in_(task_ids))
    unstarted = session.scalars(
        select(JobRow.id)
        .where(JobRow.id.in_(their_jobs), JobRow.started_at.is_(None))
        .order_by(JobRow.id)
        .with_for_update(key_share=True)
    ).all()
    session.execute(update(JobRow).where(JobRow.id.in_(unstarted)).values(started_at=now))


def cancel(session: Session, job_id: str, now: datetime) -> bool:
    """Cancels a job and its open tasks; False if it was cancelled before."""
    open_tasks = (TaskRow.job_id == job_id, TaskRow.state.in_(OPEN_STATES))
    lock(session, *open_tasks)
    result = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.cancelled_at.is_(None))
        .values(cancelled_at=now)
    )
    session.execute(update(TaskRow).where(*open_tasks).values(state=TaskState.CANCELLED))
    return row_count(result) == 1


def entries_of_job(
    session: Session, job_id: str, target_id: str, page_request: PageRequest
) -> Page[EntryOfSubject]:
    """The entries of a job's subjects on one of its targets, by name."""
    of_job = (TaskRow.subject_hash == EntryRow.subject_hash) & (
        TaskRow.target_id == EntryRow.target_id
    )
    query = (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .join(TaskRow, of_job)
        .where(TaskRow.job_id == job_id, TaskRow.target_id == target_id)
    )
    page = read_page(session, query, (SubjectRow.name, SubjectRow.hash), page_request)
    return page.with_items([(row[0], row[1]) for row in page.items])
