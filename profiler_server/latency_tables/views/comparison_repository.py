"""SQL of what two targets have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session, aliased

from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql.many_values import is_in
from profiler_server.subjects.rows import SubjectRow


def shared(session: Session, first_id: str, second_id: str) -> list[Row[*tuple[Any, ...]]]:
    """Subject, its shape and its two values (ms), where both targets have one."""
    first, second = aliased(EntryRow), aliased(EntryRow)
    query = (
        select(first.subject_hash, first.shape, first.value_ms, second.value_ms)
        .join(second, second.subject_hash == first.subject_hash)
        .where(first.target_id == first_id, second.target_id == second_id)
        .where(~first.held_back, ~second.held_back)
        .order_by(first.subject_hash)
    )
    return list(session.execute(query))


def names(session: Session, subject_hashes: Collection[str]) -> dict[str, str]:
    """The subjects' names."""
    rows = session.execute(
        select(SubjectRow.hash, SubjectRow.name).where(
            is_in(session, SubjectRow.hash, subject_hashes)
        )
    )
    return dict(rows.all())
