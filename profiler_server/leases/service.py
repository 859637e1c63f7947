"""Claiming, renewing and releasing leases. Time is the database's."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.wire import (
    Lease,
    LeasedTask,
    LeaseRelease,
    LeaseRenewal,
    LeaseRequest,
    LeaseStatus,
    Subject,
    TaskOutcome,
)
from profiler_server.devices import repository as devices
from profiler_server.events import repository as events
from profiler_server.events.tables import EventKind
from profiler_server.jobs import progress
from profiler_server.jobs import repository as jobs
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.tables import TaskState
from profiler_server.jobs.task_repository import TaskProgress
from profiler_server.kit.database import database_now
from profiler_server.kit.ids import new_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.leases import repository
from profiler_server.leases.tables import LeaseRow, LeaseState

#: a task is given up at so many failures
MOST_FAILURES = 3

_SUBJECT: TypeAdapter[Subject] = TypeAdapter(Subject)


def claim(
    session: Session, settings: Settings, request: LeaseRequest, *, waited: bool = False
) -> Lease | None:
    """Leases the device a batch of tasks of one target; None if there are none for it.

    An agent has one lease at a time for a device. When it claims, its last lease is over even
    if that still lives: the agent crashed, or the claim's answer or the release was lost.

    Args:
        session: a writing transaction.
        settings: for the time to live.
        request: the agent's question.
        waited: the question has been held for a while. Its agent may have given it up and
            claimed again, so a lease that lives ends this question and not the other way.

    Raises:
        Problem: `unknown-device`.
    """
    if not devices.lock_device(session, request.device_id):
        raise unknown_device(request.device_id)
    now = database_now(session)
    devices.see_device(session, request.device_id, now)
    _end_old_leases(session, now, None if waited else request.device_id)
    if waited and repository.has_live(session, request.device_id):
        return None
    picked = _pick(session, request)
    if picked is None:
        return None
    target_id, batch = picked
    row = LeaseRow(
        id=new_id("lease"),
        device_id=request.device_id,
        target_id=target_id,
        state=LeaseState.LIVE,
        claimed_at=now,
        expires_at=now + timedelta(seconds=settings.lease_ttl_s),
    )
    fence = repository.add(session, row)
    task_ids = [task.task_id for task in batch]
    if tasks.lease(session, task_ids, row.id) != len(batch):
        raise RuntimeError("a locked task was not queued any more")
    jobs.note_started(session, task_ids, now)
    events.append(
        session,
        now,
        EventKind.LEASE_CLAIMED,
        lease_id=row.id,
        device_id=row.device_id,
        tasks=len(batch),
    )
    documents = jobs.subject_documents(session, [task.subject_hash for task in batch])
    return Lease(
        id=row.id,
        fence=fence,
        target_id=target_id,
        ttl_s=settings.lease_ttl_s,
        tasks=tuple(
            LeasedTask(
                task_id=task.task_id,
                subject=_SUBJECT.validate_json(documents[task.subject_hash]),
                visits=task.remaining,
            )
            for task in batch
        ),
    )


def may_have_work(session: Session, device_id: str) -> bool:
    """Whether a claim is worth its writing transaction; only reads."""
    if repository.any_overdue(session, device_id, database_now(session)):
        return True
    return not repository.has_live(session, device_id) and tasks.has_queued(session, device_id)


def renew(
    session: Session, settings: Settings, lease_id: str, renewal: LeaseRenewal
) -> LeaseStatus:
    """Extends a lease by its time to live.

    Raises:
        Problem: `unknown-lease` or `lease-lost`.
    """
    now = database_now(session)
    expires_at = now + timedelta(seconds=settings.lease_ttl_s)
    if not repository.renew(session, lease_id, renewal.fence, now, expires_at):
        raise _lost(session, lease_id)
    return LeaseStatus(
        ttl_s=settings.lease_ttl_s,
        cancelled_task_ids=tasks.cancelled_of_lease(session, lease_id),
    )


def release(session: Session, lease_id: str, released: LeaseRelease) -> None:
    """Ends a lease; what it still holds goes back to the queue. May be repeated.

    Raises:
        Problem: `unknown-lease` or `lease-lost`.
    """
    now = database_now(session)
    if not repository.release(session, lease_id, released.fence, now):
        row = repository.get(session, lease_id)
        if row and row.fence == released.fence and row.state is LeaseState.RELEASED:
            return
        raise _lost(session, lease_id)
    # The outcomes come in the agent's order.
    tasks.lock_held(session, lease_id)
    for outcome in released.outcomes:
        if outcome.state == "failed":
            _count_failure(session, lease_id, outcome, now)
    tasks.give_back(session, [lease_id])
    events.append(session, now, EventKind.LEASE_RELEASED, lease_id=lease_id)


def unknown_device(device_id: str) -> Problem:
    """The problem with a device that has not registered."""
    return Problem("unknown-device", f"no device {device_id!r}; register it with POST /v1/devices")


def _pick(session: Session, request: LeaseRequest) -> tuple[str, list[TaskProgress]] | None:
    while True:
        locked = tasks.lock_queued(session, request.device_id, request.max_tasks)
        if locked is None:
            return None
        target_id, task_ids = locked
        wanting = {task.task_id: task for task in progress.update_of_tasks(session, task_ids)}
        # Two jobs may ask for one subject: its visits count for both, so it is leased once.
        batch: dict[str, TaskProgress] = {}
        for task_id in task_ids:
            if task := wanting.get(task_id):
                batch.setdefault(task.subject_hash, task)
        if batch:
            return target_id, list(batch.values())


def _end_old_leases(session: Session, now: datetime, claiming: str | None) -> None:
    ended = dict.fromkeys(repository.expire(session, now), EventKind.LEASE_EXPIRED)
    if claiming is not None:
        superseded = repository.supersede(session, claiming)
        ended |= dict.fromkeys(superseded, EventKind.LEASE_SUPERSEDED)
    if ended:
        tasks.give_back(session, list(ended))
    for lease_id, kind in ended.items():
        events.append(session, now, kind, lease_id=lease_id)


def _count_failure(session: Session, lease_id: str, outcome: TaskOutcome, now: datetime) -> None:
    reason = outcome.reason or "the agent gave no reason"
    state = tasks.fail(session, lease_id, outcome.task_id, reason, MOST_FAILURES)
    if state is TaskState.FAILED:
        events.append(session, now, EventKind.TASK_FAILED, task_id=outcome.task_id, reason=reason)


def _lost(session: Session, lease_id: str) -> Problem:
    if repository.get(session, lease_id) is None:
        return Problem("unknown-lease", f"no lease {lease_id!r}; POST /v1/leases claims one")
    return Problem(
        "lease-lost",
        f"lease {lease_id} was released, has expired or has another fence; stop, upload the visits "
        "that are made (they count) and claim a new lease",
    )
