"""SQL of retractions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import RetractionQuery, VisitChoice
from profiler_server.auth.repository import owned_by
from profiler_server.auth.rows import DeviceOwnerRow, TokenRow
from profiler_server.entries.rows import RetractionRow, VisitRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.json_text import JsonText
from profiler_server.kit.sql.lists import Listing, equal, since, until
from profiler_server.kit.sql.pages import Page


def chosen(choice: VisitChoice) -> ColumnElement[bool]:
    """Whether a visit is chosen, and was not taken back before."""
    conditions: list[ColumnElement[bool]] = [VisitRow.retraction_id.is_(None)]
    equal = {
        VisitRow.device_id: choice.device_id,
        VisitRow.lease_id: choice.lease_id,
        VisitRow.target_id: choice.target_id,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    if choice.token_id is not None:
        own = select(DeviceOwnerRow.device_id).where(DeviceOwnerRow.token_id == choice.token_id)
        # Of older visits nobody has kept the token; it can only be their device's.
        older = VisitRow.token_id.is_(None) & VisitRow.device_id.in_(own)
        conditions.append((VisitRow.token_id == choice.token_id) | older)
    if choice.job_id is not None:
        of_job = select(TaskRow.id).where(TaskRow.job_id == choice.job_id)
        conditions.append(VisitRow.task_id.in_(of_job))
    if choice.since is not None:
        conditions.append(VisitRow.stored_at >= choice.since)
    if choice.until is not None:
        conditions.append(VisitRow.stored_at < choice.until)
    return and_(*conditions)


def targets(session: Session, which: ColumnElement[bool]) -> set[str]:
    """The targets of the visits."""
    return set(session.scalars(select(VisitRow.target_id).where(which).distinct()))


def take_back(session: Session, which: ColumnElement[bool], retraction_id: str) -> int:
    """Marks the visits; how many."""
    marked = update(VisitRow).where(which).values(retraction_id=retraction_id)
    return row_count(session.execute(marked.execution_options(synchronize_session=False)))


def first_stored(session: Session, retraction_id: str) -> dict[str, datetime]:
    """When the first of the retraction's visits was stored, by target."""
    rows = session.execute(
        select(VisitRow.target_id, func.min(VisitRow.stored_at))
        .where(VisitRow.retraction_id == retraction_id)
        .group_by(VisitRow.target_id)
    )
    return dict(rows.all())


def name_of(session: Session, token_id: str | None) -> str | None:
    """A token's name."""
    return session.scalar(select(TokenRow.name).where(TokenRow.id == token_id))


def latest(session: Session, query: RetractionQuery) -> Page[tuple[RetractionRow, str | None]]:
    """The retractions that a query asks for, with the names of their tokens."""
    rows = select(RetractionRow, TokenRow.name).outerjoin(
        TokenRow, TokenRow.id == RetractionRow.token_id
    )
    page = _RETRACTIONS.page(session, rows, query)
    return page.with_items([(row[0], row[1]) for row in page.items])


_RETRACTIONS = Listing(
    RetractionQuery,
    {
        "owner": owned_by(RetractionRow.token_id),
        "device_id": equal(JsonText(RetractionRow.choice, "device_id")),
        "job_id": equal(JsonText(RetractionRow.choice, "job_id")),
        "target_id": equal(JsonText(RetractionRow.choice, "target_id")),
        "since": since(RetractionRow.at),
        "until": until(RetractionRow.at),
    },
    {"at": (RetractionRow.at, RetractionRow.id)},
)
