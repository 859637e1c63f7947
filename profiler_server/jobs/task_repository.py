"""SQL of tasks: how far they are, and who holds them.

Transactions lock rows in one order, so that two never wait for each other: a device,
targets, leases, tasks, their jobs' counts, jobs; several of a kind by id, tasks by target and id,
counts by job and target.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    case,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from netspec.wire import ISOLATED, MEASURING_METHODS
from profiler_server.entries.rows import ACCEPTED, VisitRow
from profiler_server.jobs.rows import OPEN_STATES, JobRow, TaskFailureRow, TaskRow, TaskState
from profiler_server.kit.sql.bulk import update_each
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.many_values import is_in


@dataclass(frozen=True)
class TaskProgress:
    """An open task and the visits that count for it."""

    task_id: str
    subject_hash: str
    #: visits wanted
    rounds: int
    #: accepted visits stored from here on count
    visits_since: datetime
    #: how many there are
    visits: int
    #: with `in_network` only those count that have a profile
    method: str

    @property
    def remaining(self) -> int:
        """Visits still wanted."""
        return max(0, self.rounds - self.visits)

    def with_more(self, visits: int) -> TaskProgress:
        """The same task with more visits."""
        return replace(self, visits=self.visits + visits)


def lock(session: Session, *conditions: ColumnElement[bool]) -> list[str]:
    """Makes others that change the tasks wait for this transaction; their ids."""
    in_order = select(TaskRow.id).order_by(TaskRow.target_id, TaskRow.id).with_for_update()
    return list(session.scalars(in_order.where(*conditions)))


def lock_open_of_subjects(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> list[TaskProgress]:
    """The open tasks, of any job, that measure the subjects on the target; locked."""
    rows = session.execute(
        _open_tasks(TaskRow.visits_done)
        .where(TaskRow.target_id == target_id, is_in(session, TaskRow.subject_hash, subject_hashes))
        .order_by(TaskRow.target_id, TaskRow.id)
        .with_for_update(of=TaskRow)
    )
    return [TaskProgress(*row) for row in rows]


def recounted(session: Session, which: ColumnElement[bool]) -> list[TaskProgress]:
    """Those of the open tasks, their visits counted from scratch."""
    counts = (
        (VisitRow.target_id == TaskRow.target_id)
        & (VisitRow.subject_hash == TaskRow.subject_hash)
        & ACCEPTED
        & (VisitRow.stored_at >= JobRow.visits_since)
    )
    counts &= (TaskRow.method == ISOLATED) | VisitRow.profile.is_not(None)
    visits = select(func.count()).where(counts).correlate(TaskRow, JobRow).scalar_subquery()
    rows = session.execute(_open_tasks(visits).where(which))
    return [TaskProgress(*row) for row in rows]


def _open_tasks(visits: SQLColumnExpression[int]) -> Select[str, str, int, datetime, int, str]:
    return (
        select(
            TaskRow.id,
            TaskRow.subject_hash,
            JobRow.rounds,
            JobRow.visits_since,
            visits,
            TaskRow.method,
        )
        .join(JobRow, JobRow.id == TaskRow.job_id)
        # No visit counts for anything else.
        .where(TaskRow.state.in_(OPEN_STATES), TaskRow.method.in_(MEASURING_METHODS))
    )


def store_progress(
    session: Session, tasks: Sequence[TaskProgress], completed: TaskState
) -> list[str]:
    """Writes down the visits of open tasks; those that want no more become `completed`.

    Returns:
        The ids of those.
    """
    rows = [{"id": task.task_id, "visits_done": min(task.visits, task.rounds)} for task in tasks]
    update_each(session, TaskRow, rows, "id")
    finished = [task.task_id for task in tasks if not task.remaining]
    if finished:
        session.execute(
            update(TaskRow).where(is_in(session, TaskRow.id, finished)).values(state=completed)
        )
    return finished


def complete(session: Session, task_id: str) -> bool:
    """Closes a task that wants one result, which is stored now; False: it was closed before."""
    return _advance(session, task_id, state=TaskState.DONE, visits_done=_of_its_job(JobRow.rounds))


def note_windows(session: Session, task_id: str, windows: int) -> None:
    """Writes down how far an open task is whose one result grows; the last window closes it."""
    there = case((JobRow.rounds > windows, windows), else_=JobRow.rounds - 1)
    _advance(session, task_id, visits_done=_of_its_job(there))


def _of_its_job(value: SQLColumnExpression[int]) -> ScalarSelect[int]:
    return select(value).where(JobRow.id == TaskRow.job_id).scalar_subquery()


def _advance(session: Session, task_id: str, **values: object) -> bool:
    """Changes a task if it is open."""
    lock(session, TaskRow.id == task_id)
    changed = session.execute(
        update(TaskRow)
        .where(TaskRow.id == task_id, TaskRow.state.in_(OPEN_STATES))
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return row_count(changed) == 1


def reuse(session: Session, job_id: str, target_id: str, subject_hashes: Collection[str]) -> None:
    """Closes queued tasks of a job that want one result, which is there already."""
    session.execute(
        update(TaskRow)
        .where(
            TaskRow.job_id == job_id,
            TaskRow.target_id == target_id,
            TaskRow.state == TaskState.QUEUED,
            is_in(session, TaskRow.subject_hash, subject_hashes),
        )
        .values(state=TaskState.REUSED, visits_done=1)
    )


def lease(session: Session, task_ids: Collection[str], lease_id: str) -> int:
    """Gives queued tasks to a lease; how many were still queued."""
    result = session.execute(
        update(TaskRow)
        .where(is_in(session, TaskRow.id, task_ids), TaskRow.state == TaskState.QUEUED)
        .values(state=TaskState.LEASED, lease_id=lease_id)
    )
    return row_count(result)


def lock_held(session: Session, lease_id: str) -> dict[str, str]:
    """Locks what the lease holds; the tasks' jobs."""
    these = lock(session, *_held([lease_id]))
    rows = select(TaskRow.id, TaskRow.job_id).where(is_in(session, TaskRow.id, these))
    return dict(session.execute(rows).all())


def _held(lease_ids: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (TaskRow.lease_id.in_(lease_ids), TaskRow.state == TaskState.LEASED)


def give_back(session: Session, lease_ids: Collection[str]) -> int:
    """Returns what the leases still hold to the queue; how many tasks that were."""
    lock(session, *_held(lease_ids))
    result = session.execute(
        update(TaskRow).where(*_held(lease_ids)).values(state=TaskState.QUEUED, lease_id=None)
    )
    return row_count(result)


def task(session: Session, task_id: str) -> TaskRow:
    """One task, as it is now."""
    one = select(TaskRow).where(TaskRow.id == task_id).execution_options(populate_existing=True)
    return session.execute(one).scalar_one()


def note_failure(
    session: Session, task_id: str, device_id: str, reason: str, now: datetime
) -> None:
    """Keeps which device failed at a task, and why."""
    session.execute(
        insert(TaskFailureRow).values(task_id=task_id, device_id=device_id, at=now, reason=reason)
    )


def failures_by_device(session: Session, task_id: str) -> list[int]:
    """How often the task failed, on each device that failed at it."""
    counts = select(func.count()).where(TaskFailureRow.task_id == task_id)
    return list(session.scalars(counts.group_by(TaskFailureRow.device_id)))


def give_up(session: Session, task_id: str, failures: int, reason: str) -> None:
    """Closes a task that failed too often."""
    given_up = {"state": TaskState.FAILED, "failures": failures, "reason": reason}
    session.execute(update(TaskRow).where(TaskRow.id == task_id).values(given_up))


def retry_later(
    session: Session, task_id: str, failures: int, reason: str, retry_at: datetime
) -> None:
    """Returns a failed task to the queue, to be leased not before `retry_at`."""
    session.execute(
        update(TaskRow)
        .where(TaskRow.id == task_id)
        .values(
            state=TaskState.QUEUED,
            lease_id=None,
            failures=failures,
            reason=reason,
            retry_at=retry_at,
        )
    )


def to_stop(session: Session, lease_id: str, *, everything: bool) -> tuple[str, ...]:
    """The lease's tasks whose job was cancelled; or every task that it holds."""
    stopped = [TaskState.CANCELLED, *([TaskState.LEASED] if everything else [])]
    cancelled = select(TaskRow.id).where(TaskRow.lease_id == lease_id, TaskRow.state.in_(stopped))
    return tuple(session.scalars(cancelled.order_by(TaskRow.id)))
