"""SQL of raw output."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from profiler_server.entries.rows import RawArchiveRow, VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.sql.many_values import is_in
from profiler_server.upkeep.raw_file import ROWS_AT_A_TIME, RawOutput


def first_month(session: Session) -> Month | None:
    """The month of the first visit; None: there is none."""
    first = session.scalar(select(func.min(VisitRow.stored_at)))
    return None if first is None else Month.of(first)


def archives(session: Session) -> Sequence[RawArchiveRow]:
    """What was archived, by month."""
    return session.scalars(select(RawArchiveRow).order_by(RawArchiveRow.month)).all()


def archive_of(session: Session, month: Month) -> RawArchiveRow | None:
    """What was archived of a month."""
    return session.get(RawArchiveRow, str(month))


def raw_output(session: Session, month: Month) -> Iterator[RawOutput]:
    """What the runners of a month's visits printed, where they did."""
    of_month = select(
        VisitRow.id,
        VisitRow.stored_at,
        VisitRow.target_id,
        VisitRow.subject_hash,
        VisitRow.device_id,
        VisitRow.task_id,
        VisitRow.digest,
        VisitRow.raw,
    ).where(VisitRow.stored_at >= month.start, VisitRow.stored_at < month.end, VisitRow.raw != "")
    streamed = session.execute(of_month, execution_options={"yield_per": ROWS_AT_A_TIME})
    for row in streamed:
        visit_id, stored_at, target_id, subject_hash, device_id, task_id, digest, raw = row
        yield RawOutput(
            str(visit_id), stored_at, target_id, subject_hash, device_id, task_id, digest, raw
        )


def clear(session: Session, visit_ids: Collection[str], month: Month) -> None:
    """Empties the raw output of the month's visits."""
    cleared = (
        update(VisitRow)
        .where(
            is_in(session, VisitRow.id, map(UUID, visit_ids)),
            # Tells PostgreSQL in which partition they are.
            VisitRow.stored_at >= month.start,
            VisitRow.stored_at < month.end,
        )
        .values(raw="")
        .execution_options(synchronize_session=False)
    )
    session.execute(cleared)


def note_cleared(session: Session, month: Month, now: datetime) -> None:
    """Notes that what was archived of a month has left the database."""
    archived = update(RawArchiveRow).where(RawArchiveRow.month == str(month))
    session.execute(archived.values(cleared_at=now))
