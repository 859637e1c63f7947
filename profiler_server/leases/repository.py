"""SQL of leases. Every transition is a conditional UPDATE whose row count is checked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from profiler_server.devices.tables import DeviceTargetRow
from profiler_server.kit.database import row_count
from profiler_server.leases.tables import LeaseRow, LeaseState


def add(session: Session, row: LeaseRow) -> int:
    """Inserts a lease; its fence."""
    session.add(row)
    session.flush()
    return row.fence


def get(session: Session, lease_id: str) -> LeaseRow | None:
    """One lease."""
    return session.scalar(select(LeaseRow).where(LeaseRow.id == lease_id))


def has_live(session: Session, device_id: str) -> bool:
    """Whether the device is at work on a lease."""
    live = exists().where(LeaseRow.device_id == device_id, LeaseRow.state == LeaseState.LIVE)
    return bool(session.scalar(select(live)))


def any_overdue(session: Session, device_id: str, now: datetime) -> bool:
    """Whether an expired lease still holds the device, or tasks that it could measure."""
    targets = select(DeviceTargetRow.target_id).where(DeviceTargetRow.device_id == device_id)
    overdue = exists().where(
        LeaseRow.state == LeaseState.LIVE,
        LeaseRow.expires_at <= now,
        (LeaseRow.device_id == device_id) | LeaseRow.target_id.in_(targets),
    )
    return bool(session.scalar(select(overdue)))


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


def supersede(session: Session, device_id: str) -> list[str]:
    """Ends the device's lease that lives; its id, if there is one."""
    ended = (
        update(LeaseRow)
        .where(LeaseRow.device_id == device_id, LeaseRow.state == LeaseState.LIVE)
        .values(state=LeaseState.SUPERSEDED)
        .returning(LeaseRow.id)
    )
    return list(session.scalars(ended))


def expire(session: Session, now: datetime) -> list[str]:
    """Ends the leases that were not renewed in time; their ids."""
    overdue = session.scalars(
        select(LeaseRow.id)
        .where(LeaseRow.state == LeaseState.LIVE, LeaseRow.expires_at <= now)
        .order_by(LeaseRow.id)
        # Another claim that ends some of them gives their tasks back itself.
        .with_for_update(skip_locked=True)
    ).all()
    session.execute(
        update(LeaseRow).where(LeaseRow.id.in_(overdue)).values(state=LeaseState.EXPIRED)
    )
    return list(overdue)


def _held(lease_id: str, fence: int) -> tuple[ColumnElement[bool], ...]:
    return (
        LeaseRow.id == lease_id,
        LeaseRow.fence == fence,
        LeaseRow.state == LeaseState.LIVE,
    )
