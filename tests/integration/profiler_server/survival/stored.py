"""What the database must hold in the end."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select

from netspec.wire import Visit
from profiler_server.entries import derivation
from profiler_server.entries.rows import EntryRow, VisitRow
from profiler_server.kit.sql.database import Database
from profiler_server.leases.rows import LeaseRow, LeaseState

_ENTRY = (EntryRow.target_id, EntryRow.subject_hash, EntryRow.value_ms, EntryRow.visits)


def check_exactly_once(database: Database, accepted: Iterable[Visit]) -> None:
    """Every accepted visit is present exactly once, no other is, and the entries say so."""
    expected = {visit.id: (visit.subject_hash, visit.statistics.min_us) for visit in accepted}
    with database.read() as session:
        rows = session.execute(select(VisitRow.id, VisitRow.subject_hash, VisitRow.min_us)).all()
        counted = session.scalar(select(func.sum(EntryRow.visits)))
        derived = set(session.execute(select(*_ENTRY)).all())
    assert len(rows) == len(expected)
    assert {row.id: (row.subject_hash, row.min_us) for row in rows} == expected
    assert counted == len(expected)
    with database.write() as session:
        derivation.rederive(session)
        assert set(session.execute(select(*_ENTRY)).all()) == derived
        # There may be no room to write the same again.
        session.rollback()


def live_leases(database: Database) -> int:
    """How many leases live."""
    live = select(func.count()).select_from(LeaseRow).where(LeaseRow.state == LeaseState.LIVE)
    with database.read() as session:
        return session.scalar(live) or 0
