"""SQL of retractions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import RetractionQuery, VisitChoice
from profiler_server.auth.repository import owned_by
from profiler_server.auth.rows import DeviceOwnerRow, TokenRow
from profiler_server.energies.rows import EnergyMeasurementRow
from profiler_server.entries.rows import EntryRow, RetractionRow, VisitRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.json_text import JsonText
from profiler_server.kit.sql.lists import Listing, equal, since, until
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.kit.sql.reach import Reach
from profiler_server.reach.conditions import of_targets
from profiler_server.subjects.rows import SubjectRow


class TakenSubject(NamedTuple):
    """What a retraction took of one subject on one target."""

    subject_hash: str
    name: str
    precision: str | None
    #: that were taken back
    visits: int
    #: of the entry as it is now, None where it has none
    left: int | None


#: of what can be taken back
Taken = type[VisitRow] | type[EnergyMeasurementRow]


def chosen(choice: VisitChoice, kind: Taken = VisitRow) -> ColumnElement[bool]:
    """Whether a visit, or a measurement of energy, is chosen, and was not taken back before."""
    conditions: list[ColumnElement[bool]] = [kind.retraction_id.is_(None)]
    equal = {
        kind.device_id: choice.device_id,
        kind.lease_id: choice.lease_id,
        kind.target_id: choice.target_id,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    if choice.token_id is not None:
        own = select(DeviceOwnerRow.device_id).where(DeviceOwnerRow.token_id == choice.token_id)
        # Of older visits nobody has kept the token; it can only be their device's.
        older = kind.token_id.is_(None) & kind.device_id.in_(own)
        conditions.append((kind.token_id == choice.token_id) | older)
    if choice.job_id is not None:
        of_job = select(TaskRow.id).where(TaskRow.job_id == choice.job_id)
        conditions.append(kind.task_id.in_(of_job))
    if choice.since is not None:
        conditions.append(kind.stored_at >= choice.since)
    if choice.until is not None:
        conditions.append(kind.stored_at < choice.until)
    return and_(*conditions)


def targets(session: Session, which: ColumnElement[bool], kind: Taken = VisitRow) -> set[str]:
    """The targets of the visits, or measurements."""
    return set(session.scalars(select(kind.target_id).where(which).distinct()))


def take_back(
    session: Session, which: ColumnElement[bool], retraction_id: str, kind: Taken = VisitRow
) -> int:
    """Marks the visits, or measurements; how many."""
    marked = update(kind).where(which).values(retraction_id=retraction_id)
    return row_count(session.execute(marked.execution_options(synchronize_session=False)))


def first_stored(
    session: Session, retraction_id: str, kind: Taken = VisitRow
) -> dict[str, datetime]:
    """When the first of the retraction's visits, or measurements, was stored, by target."""
    rows = session.execute(
        select(kind.target_id, func.min(kind.stored_at))
        .where(kind.retraction_id == retraction_id)
        .group_by(kind.target_id)
    )
    return dict(rows.all())


def energies(session: Session, retraction_id: str) -> list[tuple[str, str]]:
    """Targets and subjects of the measurements of energy that a retraction took back."""
    kind = EnergyMeasurementRow
    pairs = select(kind.target_id, kind.subject_hash).where(kind.retraction_id == retraction_id)
    return [(row[0], row[1]) for row in session.execute(pairs.distinct())]


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


def count_visits(session: Session, target_id: str) -> int:
    """How many visits of a target were taken back."""
    return session.scalars(select(func.count()).where(*_taken_back(target_id))).one()


def of_target(
    session: Session, target_id: str, page_request: PageRequest
) -> Page[tuple[RetractionRow, str | None, int, int]]:
    """The retractions with visits of a target, newest first.

    Each with its token's name, and how many visits of how many subjects were the target's.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    here = (
        select(
            VisitRow.retraction_id,
            func.count().label("visits"),
            func.count(VisitRow.subject_hash.distinct()).label("subjects"),
        )
        .where(*_taken_back(target_id))
        .group_by(VisitRow.retraction_id)
        .subquery()
    )
    rows = (
        select(RetractionRow, TokenRow.name, here.c.visits, here.c.subjects)
        .join(here, here.c.retraction_id == RetractionRow.id)
        .outerjoin(TokenRow, TokenRow.id == RetractionRow.token_id)
    )
    order = (RetractionRow.at, RetractionRow.id)
    page = read_page(session, rows, order, page_request, descending=True)
    return page.with_items([(row[0], row[1], row[2], row[3]) for row in page.items])


def subjects_of(
    session: Session, target_id: str, retraction_ids: Collection[str], most: int
) -> dict[str, list[TakenSubject]]:
    """The first subjects of each retraction on a target, by name."""
    taken = (
        select(VisitRow.retraction_id, VisitRow.subject_hash, func.count().label("visits"))
        .where(*_taken_back(target_id), VisitRow.retraction_id.in_(retraction_ids))
        .group_by(VisitRow.retraction_id, VisitRow.subject_hash)
        .subquery()
    )
    by_name = (SubjectRow.name, SubjectRow.hash)
    number = func.row_number().over(partition_by=taken.c.retraction_id, order_by=by_name)
    numbered = (
        select(taken, SubjectRow.name, SubjectRow.precision, number.label("number"))
        .join(SubjectRow, SubjectRow.hash == taken.c.subject_hash)
        .subquery()
    )
    rows = session.execute(
        select(
            numbered.c.retraction_id,
            numbered.c.subject_hash,
            numbered.c.name,
            numbered.c.precision,
            numbered.c.visits,
            EntryRow.visits,
        )
        .outerjoin(
            EntryRow,
            and_(EntryRow.target_id == target_id, EntryRow.subject_hash == numbered.c.subject_hash),
        )
        .where(numbered.c.number <= most)
        .order_by(numbered.c.retraction_id, numbered.c.number)
    )
    found: dict[str, list[TakenSubject]] = {}
    for retraction_id, *subject in rows:
        found.setdefault(retraction_id, []).append(TakenSubject(*subject))
    return found


def _taken_back(target_id: str) -> tuple[ColumnElement[bool], ...]:
    return VisitRow.target_id == target_id, VisitRow.retraction_id.is_not(None)


def _of_seen_visits(reach: Reach) -> ColumnElement[bool]:
    """Every target is seen that it took visits from."""
    hidden = ~of_targets(VisitRow.target_id)(reach)
    return ~exists().where(VisitRow.retraction_id == RetractionRow.id, hidden)


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
    _of_seen_visits,
)
