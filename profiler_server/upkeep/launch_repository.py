"""SQL of what visits say of their launches, where an older version stored them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Row, and_, func, select
from sqlalchemy.orm import Session

from profiler_server.entries.rows import VisitRow
from profiler_server.kit.sql.bulk import Row as Values
from profiler_server.kit.sql.bulk import update_each
from profiler_server.kit.sql.many_values import is_in

#: a subject on a target
Measured = tuple[str, str]
#: nothing is known of its launch: it was stored by an older version, or its runner does not say
_NOT_READ = and_(
    VisitRow.load_ms.is_(None),
    VisitRow.first_inference_ms.is_(None),
    VisitRow.peak_memory_bytes.is_(None),
)


def unread_subjects(session: Session) -> list[Measured]:
    """Targets and subjects of visits whose raw text is here and was not read, in one order."""
    rows = session.execute(
        select(VisitRow.target_id, VisitRow.subject_hash)
        .where(_NOT_READ, VisitRow.raw != "")
        .distinct()
        .order_by(VisitRow.target_id, VisitRow.subject_hash)
    )
    return [(target_id, subject_hash) for target_id, subject_hash in rows]


def unread_visits(
    session: Session, measured: Measured, after: UUID | None, most: int
) -> Sequence[Row[UUID, str]]:
    """Ids and raw texts of a subject's visits that were not read, by id, from behind one on."""
    target_id, subject_hash = measured
    unread = select(VisitRow.id, VisitRow.raw).where(
        VisitRow.target_id == target_id,
        VisitRow.subject_hash == subject_hash,
        _NOT_READ,
        VisitRow.raw != "",
    )
    if after is not None:
        unread = unread.where(VisitRow.id > after)
    return session.execute(unread.order_by(VisitRow.id).limit(most)).all()


def unread(session: Session, ids: Collection[UUID]) -> dict[UUID, Measured]:
    """Those of the visits that were not read, with what they are of."""
    rows = session.execute(
        select(VisitRow.id, VisitRow.target_id, VisitRow.subject_hash).where(
            is_in(session, VisitRow.id, ids), _NOT_READ
        )
    )
    return {visit_id: (target_id, subject_hash) for visit_id, target_id, subject_hash in rows}


def fill(session: Session, rows: Sequence[Values]) -> None:
    """Stores what visits say of their launches; each row has the visit's `id`."""
    update_each(session, VisitRow, rows, "id")


def archived(session: Session) -> int:
    """How many visits were not read whose raw text is in no longer here, but in an archive."""
    gone = select(func.count()).select_from(VisitRow).where(_NOT_READ, VisitRow.raw == "")
    return session.scalar(gone) or 0
