"""SQL of one network on every target."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql.reach import narrowed
from profiler_server.reach.conditions import of_targets
from profiler_server.subjects.rows import IS_WHOLE, SubjectRow

_WHOLE = ("network", "model")
#: of entries: an index has these by their subjects
_NO_OPERATOR = EntryRow.shape.is_(None)


def named(session: Session, text: str, most: int) -> Sequence[SubjectRow]:
    """Measured networks and models whose names have all words of the text, by name."""
    words = [SubjectRow.name.icontains(word, autoescape=True) for word in text.split()]
    is_measured = exists().where(EntryRow.subject_hash == SubjectRow.hash, _NO_OPERATOR)
    query = select(SubjectRow).where(IS_WHOLE, is_measured, *words)
    return session.scalars(query.order_by(SubjectRow.name, SubjectRow.hash).limit(most)).all()


def subject(session: Session, subject_hash: str) -> SubjectRow | None:
    """A network or model."""
    found = session.get(SubjectRow, subject_hash)
    return found if found is not None and found.kind in _WHOLE else None


def values(session: Session, subject_hash: str) -> dict[str, EntryRow]:
    """Its entries by target, without those whose devices disagree."""
    rows = select(EntryRow).where(
        EntryRow.subject_hash == subject_hash, _NO_OPERATOR, ~EntryRow.held_back
    )
    seen = narrowed(session, rows, of_targets(EntryRow.target_id))
    return {row.target_id: row for row in session.scalars(seen)}
