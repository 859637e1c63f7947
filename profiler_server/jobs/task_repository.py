"""SQL of tasks: how far they are, and who holds them.

Transactions lock rows in one order, so that two never wait for each other: a device,
targets, leases, tasks, jobs; several of a kind by id, tasks by target and id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Select, Table, bindparam, exists, func, select, update
from sqlalchemy.orm import Session

from profiler_server.devices.tables import DeviceTargetRow
from profiler_server.jobs.tables import OPEN_STATES, JobRow, TaskRow, TaskState
from profiler_server.kit.database import row_count
from profiler_server.measurements.tables import VisitRow


@dataclass(frozen=True)
class TaskProgress:
    """An open task and the visits that count for it."""

    task_id: str
    subject_hash: str
    rounds: int
    visits: int

    @property
    def remaining(self) -> int:
        """Visits still wanted."""
        return max(0, self.rounds - self.visits)


def lock(session: Session, *conditions: ColumnElement[bool]) -> list[str]:
    """Makes others that change the tasks wait for this transaction; their ids."""
    in_order = select(TaskRow.id).order_by(TaskRow.target_id, TaskRow.id).with_for_update()
    return list(session.scalars(in_order.where(*conditions)))


def open_of_job(session: Session, job_id: str) -> list[TaskProgress]:
    """The job's open tasks."""
    return _open_tasks(session, TaskRow.job_id == job_id)


def open_of_subjects(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> list[TaskProgress]:
    """The open tasks, of any job, that measure the subjects on the target; locked."""
    of_subjects = (TaskRow.target_id == target_id, TaskRow.subject_hash.in_(subject_hashes))
    locked = set(lock(session, TaskRow.state.in_(OPEN_STATES), *of_subjects))
    # Tasks of a job filed since then are brought up to date when they are leased.
    return [task for task in _open_tasks(session, *of_subjects) if task.task_id in locked]


def open_of_ids(session: Session, task_ids: Collection[str]) -> list[TaskProgress]:
    """Those of the tasks that are open."""
    return _open_tasks(session, TaskRow.id.in_(task_ids))


def _open_tasks(session: Session, *conditions: ColumnElement[bool]) -> list[TaskProgress]:
    counts = (
        (VisitRow.target_id == TaskRow.target_id)
        & (VisitRow.subject_hash == TaskRow.subject_hash)
        & (VisitRow.rejected == "")
        & (VisitRow.stored_at >= JobRow.visits_since)
    )
    rows = session.execute(
        select(TaskRow.id, TaskRow.subject_hash, JobRow.rounds, func.count(VisitRow.id))
        .join(JobRow, JobRow.id == TaskRow.job_id)
        .outerjoin(VisitRow, counts)
        .where(TaskRow.state.in_(OPEN_STATES), *conditions)
        .group_by(TaskRow.id, TaskRow.subject_hash, JobRow.rounds)
    )
    return [TaskProgress(*row) for row in rows]


def store_progress(session: Session, tasks: Sequence[TaskProgress], completed: TaskState) -> None:
    """Writes down the visits of open tasks; those that want no more become `completed`."""
    if not tasks:
        return
    table = cast("Table", TaskRow.__table__)
    # Below the ORM, so that one statement serves all rows.
    session.connection().execute(
        update(table)
        .where(table.c.id == bindparam("task"))
        .values(visits_done=bindparam("visits")),
        [{"task": task.task_id, "visits": min(task.visits, task.rounds)} for task in tasks],
    )
    session.execute(
        update(TaskRow)
        .where(
            TaskRow.id.in_([task.task_id for task in tasks if not task.remaining]),
            TaskRow.state.in_(OPEN_STATES),
        )
        .values(state=completed)
    )


def has_queued(session: Session, device_id: str) -> bool:
    """Whether a task waits for one of the device's targets."""
    waiting = exists().where(
        TaskRow.state == TaskState.QUEUED, TaskRow.target_id.in_(_targets_of(device_id))
    )
    return bool(session.scalar(select(waiting)))


def queued_tasks() -> Select[str, str]:
    """Id and target of the queued tasks that no other claim has locked, next one first."""
    return (
        select(TaskRow.id, TaskRow.target_id)
        .join(JobRow, JobRow.id == TaskRow.job_id)
        .where(TaskRow.state == TaskState.QUEUED)
        .order_by(
            JobRow.priority.desc(), JobRow.created_at, JobRow.id, TaskRow.position, TaskRow.id
        )
        .with_for_update(skip_locked=True, of=TaskRow)
    )


def lock_queued(session: Session, device_id: str, limit: int) -> tuple[str, list[str]] | None:
    """The tasks to lease next, all of one target, kept from other claims.

    Returns:
        The target and the tasks' ids by priority, age and position; None if there are none.
    """
    queued = queued_tasks()
    of_device = TaskRow.target_id.in_(_targets_of(device_id))
    first = session.execute(queued.where(of_device).limit(1)).first()
    if first is None:
        return None
    target_id: str = first.target_id
    rows = session.execute(queued.where(TaskRow.target_id == target_id).limit(limit))
    return target_id, [row.id for row in rows]


def _targets_of(device_id: str) -> Select[str]:
    return select(DeviceTargetRow.target_id).where(DeviceTargetRow.device_id == device_id)


def lease(session: Session, task_ids: Collection[str], lease_id: str) -> int:
    """Gives queued tasks to a lease; how many were still queued."""
    result = session.execute(
        update(TaskRow)
        .where(TaskRow.id.in_(task_ids), TaskRow.state == TaskState.QUEUED)
        .values(state=TaskState.LEASED, lease_id=lease_id)
    )
    return row_count(result)


def lock_held(session: Session, lease_id: str) -> None:
    """Locks what the lease holds."""
    lock(session, *_held([lease_id]))


def _held(lease_ids: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (TaskRow.lease_id.in_(lease_ids), TaskRow.state == TaskState.LEASED)


def give_back(session: Session, lease_ids: Collection[str]) -> int:
    """Returns what the leases still hold to the queue; how many tasks that were."""
    lock(session, *_held(lease_ids))
    result = session.execute(
        update(TaskRow).where(*_held(lease_ids)).values(state=TaskState.QUEUED, lease_id=None)
    )
    return row_count(result)


def fail(
    session: Session, lease_id: str, task_id: str, reason: str, most_failures: int
) -> TaskState | None:
    """Counts a failure of a task that the lease holds, and gives it up at the last one.

    Returns:
        The task's state from here on; None if the lease does not hold it.
    """
    failures_ = session.execute(
        update(TaskRow)
        .where(
            TaskRow.id == task_id,
            TaskRow.lease_id == lease_id,
            TaskRow.state == TaskState.LEASED,
        )
        .values(failures=TaskRow.failures + 1, reason=reason)
        .returning(TaskRow.failures)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if failures_ is None:
        return None
    state = TaskState.FAILED if failures_ >= most_failures else TaskState.QUEUED
    kept = lease_id if state is TaskState.FAILED else None
    session.execute(update(TaskRow).where(TaskRow.id == task_id).values(state=state, lease_id=kept))
    return state


def cancelled_of_lease(session: Session, lease_id: str) -> tuple[str, ...]:
    """The lease's tasks whose job was cancelled."""
    cancelled = select(TaskRow.id).where(
        TaskRow.lease_id == lease_id, TaskRow.state == TaskState.CANCELLED
    )
    return tuple(session.scalars(cancelled.order_by(TaskRow.id)))
