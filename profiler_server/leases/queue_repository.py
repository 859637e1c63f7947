"""SQL of the queue: the tasks that a device may lease, now or after a rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from profiler_server.devices.repository import others_usable
from profiler_server.devices.rows import DeviceRow
from profiler_server.jobs.rows import JobRow, TaskFailureRow, TaskRow, TaskState
from profiler_server.subjects.rows import SubjectRow

#: a task that failed so often on a device is left to others
_MOST_ON_ONE_DEVICE = 2


@dataclass(frozen=True)
class QueuedTask:
    """A task that a claim may lease."""

    task_id: str
    target_id: str
    subject_hash: str
    #: `Subject` as JSON
    document: str
    #: visits still wanted
    remaining: int
    #: whether a task of its job was leased before
    started: bool
    method: str


def queued_tasks(
    device_id: str, methods: Collection[str], target_ids: Collection[str], now: datetime
) -> Select[str, str, str, str, int, bool, str]:
    """The columns of `QueuedTask` of what the device may lease, next one first.

    Tasks that another claim has locked are left out.
    """
    return (
        select(
            TaskRow.id,
            TaskRow.target_id,
            TaskRow.subject_hash,
            SubjectRow.document,
            JobRow.rounds - TaskRow.visits_done,
            JobRow.started_at.is_not(None),
            TaskRow.method,
        )
        .join(JobRow, JobRow.id == TaskRow.job_id)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .where(*_queued_for(device_id, methods, target_ids, now), is_ready(now))
        .order_by(
            JobRow.priority.desc(), JobRow.created_at, JobRow.id, TaskRow.position, TaskRow.id
        )
        .with_for_update(skip_locked=True, of=TaskRow)
    )


def _queued_for(
    device_id: str, methods: Collection[str], target_ids: Collection[str], now: datetime
) -> tuple[ColumnElement[bool], ...]:
    """What a task must be for the device to get it, now or after a rest."""
    return (
        TaskRow.state == TaskState.QUEUED,
        TaskRow.target_id.in_(target_ids),
        TaskRow.method.in_(methods),
        _suits(device_id, now),
    )


def ready_at(
    session: Session, device: DeviceRow, target_ids: Collection[str], now: datetime
) -> datetime | None:
    """When the first queued task may be leased to the device, `now` or later; None: none is."""
    ready = func.coalesce(TaskRow.retry_at, now)
    wanted = _queued_for(device.id, device.methods.split(), target_ids, now)
    queued = select(func.min(ready)).where(*wanted)
    first = session.scalar(queued)
    return None if first is None else max(first, now)


def is_ready(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a task waits for a lease and does not rest after a failure."""
    return (TaskRow.state == TaskState.QUEUED) & (
        TaskRow.retry_at.is_(None) | (TaskRow.retry_at <= now)
    )


def _suits(device_id: str, now: datetime) -> ColumnElement[bool]:
    """A task that failed on the device again is left to other devices, if there are any."""
    own = (
        select(func.count())
        .where(TaskFailureRow.task_id == TaskRow.id, TaskFailureRow.device_id == device_id)
        .scalar_subquery()
    )
    of_task = (TaskRow.target_id.expression, TaskRow.method.expression)
    others = others_usable(*of_task, device_id, now).correlate(TaskRow)
    return (TaskRow.failures < _MOST_ON_ONE_DEVICE) | (own < _MOST_ON_ONE_DEVICE) | ~others


def lock_queued(
    session: Session, device: DeviceRow, target_ids: Sequence[str], now: datetime, limit: int
) -> list[QueuedTask]:
    """The tasks to lease next, all of one target, by priority, age and position; locked."""
    methods = device.methods.split()
    if len(target_ids) > 1:
        first = session.execute(queued_tasks(device.id, methods, target_ids, now).limit(1)).first()
        target_ids = [] if first is None else [first[1]]
    if not target_ids:
        return []
    rows = session.execute(queued_tasks(device.id, methods, target_ids, now).limit(limit))
    return [QueuedTask(*row) for row in rows]
