"""An agent's token acts only for leases on devices that it has registered."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from profiler_server.auth.ownership import DeviceGuard
from profiler_server.auth.rows import DeviceOwnerRow
from profiler_server.auth.service import Principal
from profiler_server.kit.sql.database import Database
from profiler_server.leases.rows import LeaseRow


def check_lease(database: Database, guard: DeviceGuard, who: Principal, lease_id: str) -> None:
    """Refuses a lease on another's device; a lease that does not exist is not refused here.

    Raises:
        Problem: `foreign-device`.
    """
    if guard.knows(who, lease_id):
        return
    with database.read() as session:
        owners = _owners_of_lease(session, lease_id)
    guard.check_owners(who, owners)
    if owners:
        guard.remember(who, lease_id)


def _owners_of_lease(session: Session, lease_id: str) -> dict[str, str]:
    """The lease's device with its token, if it has one."""
    rows = session.execute(
        select(DeviceOwnerRow.device_id, DeviceOwnerRow.token_id)
        .join(LeaseRow, LeaseRow.device_id == DeviceOwnerRow.device_id)
        .where(LeaseRow.id == lease_id)
    )
    return dict(rows.all())
