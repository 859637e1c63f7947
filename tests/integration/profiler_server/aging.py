"""Time that passes for a lease without a wait: on a busy machine a short lease ends too soon."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from netspec.wire import Lease
from profiler_server.kit.sql.database import Database
from profiler_server.leases.rows import LeaseRow


def age(database: Database, lease: Lease, seconds: float) -> None:
    """As if so much time had passed since the lease was claimed or renewed."""
    with database.write() as session:
        row = session.scalars(select(LeaseRow).where(LeaseRow.id == lease.id)).one()
        row.expires_at -= timedelta(seconds=seconds)
