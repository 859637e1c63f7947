"""Claiming, renewing and releasing leases. Time is the database's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.wire import (
    ISOLATED,
    Lease,
    LeasedTask,
    LeaseRelease,
    LeaseRenewal,
    LeaseRequest,
    LeaseStatus,
    Subject,
)
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import repository as jobs
from profiler_server.jobs import task_repository as tasks
from profiler_server.kit.ids import new_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.leases import ending, repository
from profiler_server.leases import queue_repository as queue
from profiler_server.leases.coverage import packed
from profiler_server.leases.queue_repository import QueuedTask
from profiler_server.leases.rows import LeaseRow, LeaseState

_SUBJECT: TypeAdapter[Subject] = TypeAdapter(Subject)


def claim(
    session: Session, settings: Settings, request: LeaseRequest, *, waited: bool = False
) -> Lease | None:
    """Leases the device a batch of tasks of one target; None if there are none for it.

    An agent has one lease at a time for a device. When it claims, its last lease is over even
    if that still lives: the agent crashed, or the claim's answer or the release was lost.

    Args:
        session: a writing transaction.
        settings: for the time to live and the rests.
        request: the agent's question.
        waited: the question has been held for a while. Its agent may have given it up and
            claimed again, so a lease that lives ends this question and not the other way.

    Raises:
        Problem: `unknown-device` or `device-quarantined`.
    """
    device = devices.lock_device(session, request.device_id)
    if device is None:
        raise unknown_device(request.device_id)
    if device.quarantined_at is not None:
        raise quarantined(device)
    now = database_now(session)
    device.last_seen, device.heard_until = now, now + settings.silent_after
    ending.end_old(session, settings, device, now, supersede=not waited)
    if waited and repository.has_live(session, device.id):
        return None
    if device.rests_until is not None and device.rests_until > now:
        return None
    target_ids = devices.target_ids(session, device.id)
    batch = _pick(session, device, target_ids, now, request.max_tasks)
    return _lease(session, settings, device.id, batch, now) if batch else None


def rest_s(session: Session, device_id: str) -> float | None:
    """Seconds until the device may get one of the tasks that are left; None: none is.

    Tasks rest after a failure, devices after fruitless leases; another claim may hold a lock, and
    another device a lease, which it may hand back or not survive.
    """
    device = devices.device(session, device_id)
    if device is None or device.quarantined_at is not None:
        return None
    now = database_now(session)
    target_ids = devices.target_ids(session, device_id)
    ready = queue.ready_at(session, device, target_ids, now)
    if ready is None:
        ready = repository.held_until(session, target_ids, device.methods.split())
    if ready is None:
        return None
    return max(0.0, (max(ready, device.rests_until or ready) - now).total_seconds())


def _pick(
    session: Session, device: DeviceRow, target_ids: Sequence[str], now: datetime, limit: int
) -> list[QueuedTask]:
    # Two jobs may ask for one subject: its visits count for both, so it is leased once. Those with
    # a profile count for either method.
    batch: dict[str, QueuedTask] = {}
    for task in queue.lock_queued(session, device, target_ids, now, limit):
        if batch.setdefault(task.subject_hash, task).method == ISOLATED != task.method:
            batch[task.subject_hash] = task
    return list(batch.values())


def _lease(
    session: Session, settings: Settings, device_id: str, batch: Sequence[QueuedTask], now: datetime
) -> Lease:
    row = LeaseRow(
        id=new_id("lease"),
        device_id=device_id,
        target_id=batch[0].target_id,
        state=LeaseState.LIVE,
        claimed_at=now,
        expires_at=now + timedelta(seconds=settings.lease_ttl_s),
        subjects=packed(task.subject_hash for task in batch),
    )
    fence = repository.add(session, row)
    if tasks.lease(session, [task.task_id for task in batch], row.id) != len(batch):
        raise RuntimeError("a locked task was not queued any more")
    starting = [task.task_id for task in batch if not task.started]
    if starting:
        jobs.note_started(session, starting, now)
    events.append(
        session,
        now,
        EventKind.LEASE_CLAIMED,
        lease_id=row.id,
        device_id=device_id,
        target_id=row.target_id,
        tasks=len(batch),
    )
    return Lease(
        id=row.id,
        fence=fence,
        target_id=row.target_id,
        ttl_s=settings.lease_ttl_s,
        tasks=tuple(
            LeasedTask.model_validate(
                {
                    "task_id": task.task_id,
                    "subject": _SUBJECT.validate_json(task.document),
                    "visits": task.remaining,
                    "method": task.method,
                }
            )
            for task in batch
        ),
    )


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
    its_device = repository.is_device_of(lease_id)
    devices.hear_devices(session, its_device, now, now + settings.silent_after)
    return LeaseStatus(
        ttl_s=settings.lease_ttl_s,
        cancelled_task_ids=tasks.to_stop(
            session, lease_id, everything=repository.is_quarantined(session, lease_id)
        ),
    )


def release(session: Session, settings: Settings, lease_id: str, released: LeaseRelease) -> bool:
    """Ends a lease; what it still holds goes back to the queue. May be repeated.

    Returns:
        Whether there may be work for other devices now.

    Raises:
        Problem: `unknown-lease` or `lease-lost`.
    """
    row = repository.get(session, lease_id)
    device = None if row is None else devices.lock_device(session, row.device_id)
    now = database_now(session)
    if not repository.release(session, lease_id, released.fence, now):
        session.expire_all()
        row = repository.get(session, lease_id)
        if row and row.fence == released.fence and row.state is LeaseState.RELEASED:
            return False
        raise _lost(session, lease_id)
    if row is None or device is None:
        raise RuntimeError(f"lease {lease_id} appeared while it was released")
    return ending.end_released(session, settings, device, row, released.outcomes, now)


def unknown_device(device_id: str) -> Problem:
    """The problem with a device that has not registered."""
    return Problem("unknown-device", f"no device {device_id!r}; register it with POST /v1/devices")


def quarantined(device: DeviceRow) -> Problem:
    """The problem with a device that gets no work."""
    return Problem(
        "device-quarantined",
        f"device {device.id} is in quarantine: {device.quarantine_reason}; when it is in order "
        f"again, POST /v1/devices/{device.id}:release",
    )


def _lost(session: Session, lease_id: str) -> Problem:
    if repository.get(session, lease_id) is None:
        return Problem("unknown-lease", f"no lease {lease_id!r}; POST /v1/leases claims one")
    return Problem(
        "lease-lost",
        f"lease {lease_id} was released, has expired or has another fence; stop, upload the visits "
        "that are made (they count) and claim a new lease",
    )
