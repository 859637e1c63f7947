"""SQL of an entry's visits over time."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from profiler_server.entries.rows import RetractionRow, VisitRow


class PastVisit(NamedTuple):
    """A visit, as far as an entry's history shows it."""

    device_id: str
    #: by the agent's clock
    started_at: datetime
    #: 5th percentile of its runs, us
    p5_us: float
    #: why it does not count, empty if it does
    rejected: str


def latest_visits(
    session: Session, target_id: str, subject_hash: str, most: int
) -> list[PastVisit]:
    """The visits of a subject on a target that were stored last, as they began."""
    why = func.coalesce(literal("taken back: ") + RetractionRow.reason, VisitRow.rejected)
    rows = session.execute(
        select(VisitRow.device_id, VisitRow.started_at, VisitRow.p5_us, why)
        .outerjoin(RetractionRow, RetractionRow.id == VisitRow.retraction_id)
        .where(VisitRow.target_id == target_id, VisitRow.subject_hash == subject_hash)
        .order_by(VisitRow.stored_at.desc(), VisitRow.digest.desc())
        .limit(most)
    )
    return sorted((PastVisit(*row) for row in rows), key=lambda one: one.started_at)
