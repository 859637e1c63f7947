"""SQL of models."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.uploaded_models.rows import ModelRow


def known(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the hashes that are stored."""
    return set(session.scalars(select(ModelRow.sha256).where(ModelRow.sha256.in_(hashes))))


def store(session: Session, sha256: str, content: bytes, now: datetime) -> None:
    """Stores a file, unless it is there."""
    insert_absent(session, ModelRow, [{"sha256": sha256, "created_at": now, "content": content}])


def content(session: Session, sha256: str) -> bytes | None:
    """The file's bytes."""
    return session.scalar(select(ModelRow.content).where(ModelRow.sha256 == sha256))
