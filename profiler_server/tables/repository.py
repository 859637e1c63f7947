"""SQL of snapshots."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, cast, func, select, update
from sqlalchemy.orm import Session

from profiler_server.kit.bulk import insert_absent
from profiler_server.tables.tables import SnapshotRow


def add(session: Session, snapshot_id: str, target_id: str, document: str, now: datetime) -> None:
    """Inserts a snapshot."""
    row = {
        "id": snapshot_id,
        "target_id": target_id,
        "created_at": now,
        "published_at": now,
        "document": document,
    }
    insert_absent(session, SnapshotRow, [row])


def publish_again(session: Session, snapshot_id: str, now: datetime) -> None:
    """Makes a snapshot that is there the latest."""
    session.execute(
        update(SnapshotRow).where(SnapshotRow.id == snapshot_id).values(published_at=now)
    )


def document(session: Session, snapshot_id: str) -> str | None:
    """A snapshot's JSON."""
    return session.scalar(select(SnapshotRow.document).where(SnapshotRow.id == snapshot_id))


def calibrations(session: Session, snapshot_id: str) -> str | None:
    """A snapshot's calibrations alone, as JSON: its entries may be many times as much."""
    document_ = SnapshotRow.document
    if session.get_bind().dialect.name == "sqlite":
        part = func.json_extract(document_, "$.calibrations")
    else:
        part = func.json_extract_path_text(cast(document_, JSON), "calibrations")
    return session.scalar(select(part).where(SnapshotRow.id == snapshot_id))


def latest_id(session: Session, target_id: str) -> str | None:
    """The id of the target's latest snapshot."""
    return session.scalar(
        select(SnapshotRow.id)
        .where(SnapshotRow.target_id == target_id)
        .order_by(SnapshotRow.published_at.desc(), SnapshotRow.id)
        .limit(1)
    )


def exists(session: Session, snapshot_id: str) -> bool:
    """Whether there is such a snapshot."""
    found = session.scalar(select(SnapshotRow.id).where(SnapshotRow.id == snapshot_id))
    return found is not None
