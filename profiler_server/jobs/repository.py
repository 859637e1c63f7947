"""SQL of jobs and tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import (
    SUSTAINED,
    EntryQuery,
    FailureQuery,
    JobQuery,
    TaskFailure,
    TaskMethod,
)
from profiler_server.auth.repository import owned_by
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.rows import EntryRow
from profiler_server.jobs.rows import (
    OPEN_STATES,
    JobRow,
    JobTargetRow,
    TaskFailureRow,
    TaskRow,
    TaskState,
)
from profiler_server.jobs.task_repository import lock
from profiler_server.kit.ids import new_id
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.lists import Listing, any_of, equal, part_of, since, states, until
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import of_what_was_named
from profiler_server.reach.conditions import of_jobs
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class JobVersion:
    """A job at one moment."""

    #: another whenever its state or progress is another
    number: str
    #: whether nothing of it is to be measured any more
    is_over: bool


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


def closed_on_a_target(session: Session, task_ids: Collection[str]) -> Sequence[str]:
    """The jobs of the tasks, by id, of which nothing is open on a task's target any more."""
    on_target = (JobTargetRow.job_id == TaskRow.job_id) & (
        JobTargetRow.target_id == TaskRow.target_id
    )
    rows = select(TaskRow.job_id).join(JobTargetRow, on_target)
    closed = rows.where(is_in(session, TaskRow.id, task_ids), JobTargetRow.open_tasks == 0)
    return session.scalars(closed.distinct().order_by(TaskRow.job_id)).all()


def jobs(session: Session, query: JobQuery) -> Page[JobRow]:
    """The jobs that a query asks for."""
    page = _JOBS.page(session, select(JobRow), query)
    return page.with_items([row[0] for row in page.items])


def _on_a_target(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(JobTargetRow.job_id == JobRow.id, condition)


_CANCELLED = JobRow.cancelled_at.is_not(None)
_HAS_OPEN = _on_a_target(JobTargetRow.open_tasks > 0)
_HAS_FAILED = _on_a_target(JobTargetRow.failed_tasks > 0)
_OPEN = ~_CANCELLED & _HAS_OPEN
_OVER = ~_CANCELLED & ~_HAS_OPEN
_JOBS = Listing(
    JobQuery,
    {
        "state": states(
            {
                "queued": _OPEN & JobRow.started_at.is_(None),
                "running": _OPEN & JobRow.started_at.is_not(None),
                "failed": _OVER & _HAS_FAILED,
                "done": _OVER & ~_HAS_FAILED,
                "cancelled": _CANCELLED,
            }
        ),
        "name": part_of(JobRow.name),
        "owner": owned_by(JobRow.token_id),
        "target_id": lambda target_id: _on_a_target(JobTargetRow.target_id == target_id),
        "since": since(JobRow.created_at),
        "until": until(JobRow.created_at),
    },
    {
        "created_at": (JobRow.created_at, JobRow.id),
        "name": (JobRow.name, JobRow.id),
        "priority": (JobRow.priority, JobRow.id),
    },
    of_jobs(JobRow.id),
)


def progress(session: Session, job_ids: Collection[str]) -> dict[str, list[JobTargetRow]]:
    """How far the jobs are on each of their targets, in the order of their tasks."""
    found: dict[str, list[JobTargetRow]] = {job_id: [] for job_id in job_ids}
    rows = select(JobTargetRow).where(is_in(session, JobTargetRow.job_id, job_ids))
    in_order = rows.order_by(JobTargetRow.position)
    # Triggers change them, of which the session does not hear.
    for row in session.scalars(in_order.execution_options(populate_existing=True)):
        found[row.job_id].append(row)
    return found


def without_pause(session: Session, job_ids: Collection[str]) -> set[str]:
    """Those of the jobs, each with one open task, that run something without pause."""
    if not job_ids:
        return set()
    rows = select(TaskRow.job_id).where(
        is_in(session, TaskRow.job_id, job_ids),
        TaskRow.state.in_(OPEN_STATES),
        TaskRow.method == SUSTAINED,
    )
    return set(session.scalars(rows))


def target_ids(session: Session, job_id: str) -> list[str]:
    """The job's targets, in the order of its tasks."""
    of_job = select(JobTargetRow.target_id).where(JobTargetRow.job_id == job_id)
    return list(session.scalars(of_job.order_by(JobTargetRow.position)))


def versions(session: Session, job_ids: Collection[str]) -> dict[str, JobVersion]:
    """What those of the ids that are jobs are at the moment."""
    of_job = JobTargetRow.job_id == JobRow.id
    columns = (
        JobTargetRow.open_tasks,
        JobTargetRow.done_tasks,
        JobTargetRow.failed_tasks,
        JobTargetRow.cancelled_tasks,
        JobTargetRow.reused_tasks,
        JobTargetRow.open_visits,
        JobTargetRow.closed_visits,
    )
    rows = session.execute(
        select(
            JobRow.id,
            JobRow.started_at,
            JobRow.cancelled_at,
            JobRow.table_error_percent,
            *(func.sum(column) for column in columns),
        )
        .outerjoin(JobTargetRow, of_job)
        .where(is_in(session, JobRow.id, job_ids))
        .group_by(JobRow.id)
    )
    return {
        job_id: JobVersion(
            number=hashlib.sha256(repr((started, cancelled, error, sums)).encode()).hexdigest(),
            is_over=cancelled is not None or not sums[0],
        )
        for job_id, started, cancelled, error, *sums in rows
    }


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


def first_failures(
    session: Session, job_ids: Collection[str], most: int
) -> dict[str, list[TaskFailure]]:
    """Of each of the jobs the first tasks that were given up, in the job's order."""
    found: dict[str, list[TaskFailure]] = {job_id: [] for job_id in job_ids}
    if not job_ids:
        return found
    place = func.row_number().over(
        partition_by=TaskRow.job_id, order_by=(TaskRow.position, TaskRow.id)
    )
    failed = (
        select(TaskRow.id, place.label("place"))
        .where(TaskRow.job_id.in_(job_ids), TaskRow.state == TaskState.FAILED)
        .subquery()
    )
    rows = _FAILED.add_columns(TaskRow.job_id).join(failed, failed.c.id == TaskRow.id)
    rows = rows.where(failed.c.place <= most).order_by(TaskRow.job_id, failed.c.place)
    for name, reason, target_id, job_id in session.execute(rows):
        found[job_id].append(TaskFailure(subject=name, reason=reason, target_id=target_id))
    return found


def failures(session: Session, job_id: str, query: FailureQuery) -> Page[TaskFailure]:
    """The tasks of a job that were given up, as far as a query asks for them."""
    failed = _FAILED.where(TaskRow.job_id == job_id, TaskRow.state == TaskState.FAILED)
    page = _FAILURES.page(session, failed, query)
    return page.with_items(
        [TaskFailure(subject=row[0], reason=row[1], target_id=row[2]) for row in page.items]
    )


_FAILED = select(SubjectRow.name, TaskRow.reason, TaskRow.target_id).join(
    SubjectRow, SubjectRow.hash == TaskRow.subject_hash
)
_FAILURES = Listing(
    FailureQuery,
    {"target_id": equal(TaskRow.target_id), "name": part_of(SubjectRow.name)},
    {"position": (TaskRow.position, TaskRow.id)},
    of_what_was_named,
)


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
    """Cancels a job and its open tasks; False if none is open any more."""
    open_tasks = (TaskRow.job_id == job_id, TaskRow.state.in_(OPEN_STATES))
    lock(session, *open_tasks)
    # Tasks, and their counts with them, before their job.
    cancelled = session.execute(
        update(TaskRow).where(*open_tasks).values(state=TaskState.CANCELLED)
    )
    if not row_count(cancelled):
        return False
    session.execute(update(JobRow).where(JobRow.id == job_id).values(cancelled_at=now))
    return True


def entries_of_job(session: Session, job_id: str, query: EntryQuery) -> Page[EntryOfSubject]:
    """The entries of a job's subjects on the target that the query names."""
    of_job = (TaskRow.subject_hash == EntryRow.subject_hash) & (
        TaskRow.target_id == EntryRow.target_id
    )
    rows = (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .join(TaskRow, of_job)
        .where(TaskRow.job_id == job_id)
    )
    page = _ENTRIES.page(session, rows, query)
    return page.with_items([(row[0], row[1]) for row in page.items])


_ENTRIES = Listing(
    EntryQuery,
    {
        "target_id": equal(TaskRow.target_id),
        "name": part_of(SubjectRow.name),
        "method": any_of(EntryRow.method),
    },
    {
        "name": (SubjectRow.name, SubjectRow.hash),
        "value_ms": (EntryRow.value_ms, SubjectRow.hash),
        "measured_at": (EntryRow.measured_at, SubjectRow.hash),
    },
    of_what_was_named,
)
