"""SQL of snapshots."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from netspec.wire import Calibration, Snapshot
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.database import row_count
from profiler_server.latency_tables.rows import SnapshotCalibrationsRow, SnapshotRow

#: as snapshots keep them apart
CALIBRATIONS: TypeAdapter[tuple[Calibration, ...]] = TypeAdapter(tuple[Calibration, ...])


def add(session: Session, snapshot: Snapshot, document: str, now: datetime) -> None:
    """Inserts a snapshot; `document` is its JSON."""
    row = {
        "id": snapshot.id,
        "target_id": snapshot.target_id,
        "created_at": now,
        "published_at": now,
        "document": document,
    }
    insert_absent(session, SnapshotRow, [row])
    apart = {
        "snapshot_id": snapshot.id,
        "calibrations": CALIBRATIONS.dump_json(snapshot.calibrations).decode(),
    }
    insert_absent(session, SnapshotCalibrationsRow, [apart])


def publish_again(session: Session, snapshot_id: str, now: datetime) -> None:
    """Makes a snapshot that is there the latest."""
    session.execute(
        update(SnapshotRow)
        .where(SnapshotRow.id == snapshot_id)
        .values(published_at=now, withdrawn_at=None)
    )


def withdraw(session: Session, target_id: str, since: datetime, now: datetime) -> int:
    """Withdraws the target's snapshots that were published from `since` on; how many."""
    result = session.execute(
        update(SnapshotRow)
        .where(
            SnapshotRow.target_id == target_id,
            SnapshotRow.published_at >= since,
            SnapshotRow.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=now)
    )
    return row_count(result)


def document(session: Session, snapshot_id: str) -> str | None:
    """A snapshot's JSON."""
    return session.scalar(select(SnapshotRow.document).where(SnapshotRow.id == snapshot_id))


def latest_calibrations(session: Session, target_id: str) -> tuple[str, str] | None:
    """The id of the target's latest snapshot, and its calibrations as JSON."""
    found = latest_id(session, target_id)
    if found is None:
        return None
    of_snapshot = select(SnapshotCalibrationsRow.calibrations).where(
        SnapshotCalibrationsRow.snapshot_id == found
    )
    return found, session.execute(of_snapshot).scalar_one()


def latest_id(session: Session, target_id: str) -> str | None:
    """The id of the target's latest snapshot."""
    return session.scalar(
        select(SnapshotRow.id)
        .where(SnapshotRow.target_id == target_id, SnapshotRow.withdrawn_at.is_(None))
        .order_by(SnapshotRow.published_at.desc(), SnapshotRow.id)
        .limit(1)
    )


def created_at(session: Session, snapshot_id: str) -> datetime:
    """When a snapshot that is there was made."""
    made = select(SnapshotRow.created_at).where(SnapshotRow.id == snapshot_id)
    return session.execute(made).scalar_one()


def exists(session: Session, snapshot_id: str) -> bool:
    """Whether there is such a snapshot."""
    found = session.scalar(select(SnapshotRow.id).where(SnapshotRow.id == snapshot_id))
    return found is not None
