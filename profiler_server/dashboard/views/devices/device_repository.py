"""SQL of a device's page: a handful of looks at an index, whatever the number of its visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import column, func, select, values
from sqlalchemy.orm import Session

from profiler_server.entries.rows import VisitRow


@dataclass(frozen=True)
class ObservedVisit:
    """What was observed around one visit."""

    started_at: datetime
    #: `Conditions` as JSON
    before: str
    after: str


@dataclass(frozen=True)
class RejectedVisit:
    """A visit that counts for nothing."""

    id: str
    target_id: str
    subject_hash: str
    started_at: datetime
    why: str


def last_of_each(
    session: Session, device_id: str, spans: Sequence[tuple[datetime, datetime]]
) -> Sequence[ObservedVisit]:
    """The last visit of a device in each of the spans that has one, oldest first."""
    kind = VisitRow.started_at.type
    # Of a list, the database plans one look for all spans; else one for each and every month.
    within = values(column("begins", kind), column("ends", kind)).data(list(spans)).cte("spans")
    last = (
        select(VisitRow.id)
        .where(
            VisitRow.device_id == device_id,
            VisitRow.started_at >= within.c.begins,
            VisitRow.started_at < within.c.ends,
        )
        .order_by(VisitRow.started_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(VisitRow.started_at, VisitRow.before, VisitRow.after)
        .where(VisitRow.id.in_(select(last).select_from(within)))
        .order_by(VisitRow.started_at)
    )
    return [ObservedVisit(*row) for row in rows]


def count(session: Session, device_id: str, since: datetime, most: int) -> int:
    """How many visits a device has made, no further than so many."""
    made = select(VisitRow.started_at).where(
        VisitRow.device_id == device_id, VisitRow.started_at >= since
    )
    return session.scalars(select(func.count()).select_from(made.limit(most).subquery())).one()


def rejected(
    session: Session, device_id: str, since: datetime, most: int
) -> Sequence[RejectedVisit]:
    """The newest of a device's visits that were rejected."""
    rows = session.execute(
        select(
            VisitRow.id,
            VisitRow.target_id,
            VisitRow.subject_hash,
            VisitRow.started_at,
            VisitRow.rejected,
        )
        .where(
            VisitRow.device_id == device_id, VisitRow.started_at >= since, VisitRow.rejected != ""
        )
        .order_by(VisitRow.started_at.desc())
        .limit(most)
    )
    return [RejectedVisit(str(row[0]), *row[1:]) for row in rows]
