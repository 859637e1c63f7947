"""SQL of leases. Every transition is a conditional UPDATE whose row count is checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from profiler_server.devices.rows import DeviceRow, DeviceTargetRow
from profiler_server.entries.rows import VisitRow
from profiler_server.jobs.rows import TaskRow, TaskState
from profiler_server.kit.sql.database import DatabaseNow, row_count
from profiler_server.kit.sql.many_values import is_in
from profiler_server.leases.queue_repository import is_ready
from profiler_server.leases.rows import LeaseRow, LeaseState


def add(session: Session, row: LeaseRow) -> int:
    """Inserts a lease; its fence."""
    session.add(row)
    session.flush()
    return row.fence


def get(session: Session, lease_id: str) -> LeaseRow | None:
    """One lease."""
    return session.scalar(select(LeaseRow).where(LeaseRow.id == lease_id))


@dataclass(frozen=True)
class Standing:
    """What decides whether a claim for a device is worth a writing transaction."""

    device: DeviceRow
    #: what the device can measure
    target_ids: tuple[str, ...]
    #: it gets no work for a while
    rests: bool
    #: it is at work on a lease
    has_live: bool
    #: a task of its targets waits for a lease, or is held by one that has expired
    has_work: bool


def standings(session: Session, device_ids: Collection[str]) -> dict[str, Standing]:
    """How those of the devices stand that there are. One statement."""
    now = DatabaseNow()
    live = exists().where(LeaseRow.device_id == DeviceRow.id, LeaseRow.state == LeaseState.LIVE)
    overdue = exists().where(
        LeaseRow.target_id == DeviceTargetRow.target_id,
        LeaseRow.state == LeaseState.LIVE,
        LeaseRow.expires_at <= now,
    )
    queued = exists().where(
        TaskRow.target_id == DeviceTargetRow.target_id,
        DeviceRow.methods.contains(TaskRow.method),
        is_ready(now),
    )
    rests = DeviceRow.rests_until.is_not(None) & (DeviceRow.rests_until > now)
    rows = session.execute(
        select(DeviceRow, DeviceTargetRow.target_id, rests, live, overdue | queued)
        .join(DeviceTargetRow, DeviceTargetRow.device_id == DeviceRow.id)
        .where(is_in(session, DeviceRow.id, device_ids))
    )
    found: dict[str, Standing] = {}
    for device, target_id, is_resting, has_live, has_work in rows:
        before = found.get(device.id)
        found[device.id] = Standing(
            device=device,
            target_ids=(*(before.target_ids if before else ()), target_id),
            rests=is_resting,
            has_live=has_live,
            has_work=has_work or (before is not None and before.has_work),
        )
    return found


def work(session: Session, target_ids: Collection[str]) -> dict[str, int]:
    """How many tasks wait for a lease, of those of the targets that have any.

    One more where an expired lease holds some.
    """
    now = DatabaseNow()
    queued = select(TaskRow.target_id).where(TaskRow.target_id.in_(target_ids), is_ready(now))
    overdue = select(LeaseRow.target_id).where(
        LeaseRow.target_id.in_(target_ids),
        LeaseRow.state == LeaseState.LIVE,
        LeaseRow.expires_at <= now,
    )
    either = queued.union_all(overdue).subquery()
    counted = select(either.c.target_id, func.count()).group_by(either.c.target_id)
    return dict(session.execute(counted).all())


def held_until(
    session: Session, target_ids: Collection[str], methods: Collection[str]
) -> datetime | None:
    """When the first lease ends that holds tasks of these targets; None: none holds any.

    Until then its device may hand them back, or have died without.
    """
    held = exists().where(TaskRow.lease_id == LeaseRow.id, TaskRow.method.in_(methods))
    first = select(func.min(LeaseRow.expires_at)).where(
        LeaseRow.target_id.in_(target_ids),
        LeaseRow.state == LeaseState.LIVE,
        held.where(TaskRow.state == TaskState.LEASED),
    )
    return session.scalar(first)


def has_live(session: Session, device_id: str) -> bool:
    """Whether the device is at work on a lease."""
    live = exists().where(LeaseRow.device_id == device_id, LeaseRow.state == LeaseState.LIVE)
    return bool(session.scalar(select(live)))


def renew(session: Session, lease_id: str, fence: int, now: datetime, expires_at: datetime) -> bool:
    """Moves the expiry of a lease that lives; False if it does not, or not with this fence."""
    result = session.execute(
        update(LeaseRow)
        .where(*_held(lease_id, fence), LeaseRow.expires_at > now)
        .values(expires_at=expires_at)
    )
    return row_count(result) == 1


def release(session: Session, lease_id: str, fence: int, now: datetime) -> bool:
    """Ends a lease that lives; False if it does not, or not with this fence."""
    result = session.execute(
        update(LeaseRow)
        .where(*_held(lease_id, fence), LeaseRow.expires_at > now)
        .values(state=LeaseState.RELEASED)
    )
    return row_count(result) == 1


def supersede(session: Session, device_id: str) -> list[LeaseRow]:
    """Ends the device's lease that lives, if there is one."""
    ended = (
        update(LeaseRow)
        .where(LeaseRow.device_id == device_id, LeaseRow.state == LeaseState.LIVE)
        .values(state=LeaseState.SUPERSEDED)
        .returning(LeaseRow)
    )
    return list(session.scalars(ended))


def expire(session: Session, now: datetime) -> Sequence[LeaseRow]:
    """Ends the leases that were not renewed in time."""
    overdue = session.scalars(
        select(LeaseRow)
        .where(LeaseRow.state == LeaseState.LIVE, LeaseRow.expires_at <= now)
        .order_by(LeaseRow.id)
        # Another claim that ends some of them gives their tasks back itself.
        .with_for_update(skip_locked=True)
    ).all()
    for lease in overdue:
        lease.state = LeaseState.EXPIRED
    session.flush()
    return overdue


def _held(lease_id: str, fence: int) -> tuple[ColumnElement[bool], ...]:
    return (
        LeaseRow.id == lease_id,
        LeaseRow.fence == fence,
        LeaseRow.state == LeaseState.LIVE,
    )


def has_visits(session: Session, lease: LeaseRow) -> bool:
    """Whether the lease's device has visited a task that the lease holds or has completed."""
    visited = exists().where(
        VisitRow.task_id == TaskRow.id,
        TaskRow.lease_id == lease.id,
        VisitRow.device_id == lease.device_id,
        VisitRow.stored_at >= lease.claimed_at,
    )
    return bool(session.scalar(select(visited)))


def is_quarantined(session: Session, lease_id: str) -> bool:
    """Whether the lease's device shall stop."""
    its_device = select(LeaseRow.device_id).where(LeaseRow.id == lease_id).scalar_subquery()
    since = select(DeviceRow.quarantined_at).where(DeviceRow.id == its_device)
    return session.scalar(since) is not None


def is_device_of(lease_id: str) -> ColumnElement[bool]:
    """The condition that a device is that of a lease."""
    its_device = select(LeaseRow.device_id).where(LeaseRow.id == lease_id).scalar_subquery()
    return DeviceRow.id == its_device
