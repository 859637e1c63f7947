"""SQL of imported files."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.operators import Precision
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables.rows import ImportRow

_LONGEST_NAME = 200


def files_of(session: Session, target_id: str) -> set[str]:
    """The hashes of the files that the target's entries come from."""
    return set(session.scalars(select(ImportRow.sha256).where(ImportRow.target_id == target_id)))


def of_file(session: Session, sha256: str) -> Sequence[ImportRow]:
    """The imports of one file, oldest first."""
    query = select(ImportRow).where(ImportRow.sha256 == sha256)
    return session.scalars(query.order_by(ImportRow.imported_at, ImportRow.target_id)).all()


def add(
    session: Session,
    target_id: str,
    *,
    sha256: str,
    name: str,
    format_name: str,
    precision: Precision | None,
    entries: int,
) -> None:
    """Notes that a file was imported, now."""
    row = {
        "target_id": target_id,
        "sha256": sha256,
        "name": name[:_LONGEST_NAME],
        "format": format_name,
        "precision": precision,
        "imported_at": database_now(session),
        "entries": entries,
    }
    insert_absent(session, ImportRow, [row])
