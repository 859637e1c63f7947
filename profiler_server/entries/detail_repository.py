"""SQL of what entries are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from netspec.wire import DisagreementQuery, VisitQuery
from profiler_server.auth.rows import TokenRow
from profiler_server.devices.rows import DeviceRow
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.rows import (
    ACCEPTED,
    DeviceEstimateRow,
    EntryRow,
    RawArchiveRow,
    RetractionRow,
    VisitRow,
)
from profiler_server.kit.sql.lists import Listing, equal, part_of, since, states, until
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.kit.sql.reach import of_what_was_named
from profiler_server.subjects.rows import SubjectRow


def device_estimates(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> dict[str, list[tuple[DeviceEstimateRow, DeviceRow]]]:
    """What each device says of the subjects, by subject; in the devices' order."""
    found: dict[str, list[tuple[DeviceEstimateRow, DeviceRow]]] = {}
    rows = session.execute(
        select(DeviceEstimateRow, DeviceRow)
        .join(DeviceRow, DeviceRow.id == DeviceEstimateRow.device_id)
        .where(
            DeviceEstimateRow.target_id == target_id,
            is_in(session, DeviceEstimateRow.subject_hash, subject_hashes),
        )
        .order_by(DeviceEstimateRow.device_id)
    )
    for estimate, device in rows:
        found.setdefault(estimate.subject_hash, []).append((estimate, device))
    return found


def hashes(session: Session, target_id: str, beginning: str, most: int) -> Sequence[str]:
    """The subjects of entries of a target whose hash begins so, a text of hexadecimal digits."""
    rows = select(EntryRow.subject_hash).where(
        EntryRow.target_id == target_id,
        # An index finds these; no digit is greater than f.
        EntryRow.subject_hash.between(beginning, f"{beginning}g"),
    )
    return session.scalars(rows.limit(most)).all()


def rejected_visits(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> dict[str, int]:
    """How many visits of the subjects do not enter their entries; none: not named."""
    rows = session.execute(
        select(VisitRow.subject_hash, func.count())
        .where(
            VisitRow.target_id == target_id,
            is_in(session, VisitRow.subject_hash, subject_hashes),
            ~ACCEPTED,
        )
        .group_by(VisitRow.subject_hash)
    )
    return dict(rows.all())


def disagreeing(session: Session, target_id: str, query: DisagreementQuery) -> Page[EntryOfSubject]:
    """The entries whose devices differ as much as a query asks for."""
    rows = (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .where(EntryRow.target_id == target_id)
    )
    page = _DISAGREEING.page(session, rows, query)
    return page.with_items([(row[0], row[1]) for row in page.items])


def held_back(session: Session, target_id: str, page_request: PageRequest) -> Page[EntryOfSubject]:
    """The entries that no table uses, since their devices are not of one mind, by name.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    rows = (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .where(EntryRow.target_id == target_id, EntryRow.held_back)
    )
    page = read_page(session, rows, (SubjectRow.name, SubjectRow.hash), page_request)
    return page.with_items([(row[0], row[1]) for row in page.items])


def count_held_back(session: Session, target_id: str) -> int:
    """How many these are."""
    rows = select(func.count()).where(EntryRow.target_id == target_id, EntryRow.held_back)
    return session.scalars(rows).one()


_DISAGREEING = Listing(
    DisagreementQuery,
    {
        # Not NULL: of several devices.
        "at_least_percent": lambda least: EntryRow.disagreement_percent >= least,
        "name": part_of(SubjectRow.name),
    },
    {
        "name": (SubjectRow.name, SubjectRow.hash),
        "disagreement_percent": (EntryRow.disagreement_percent, SubjectRow.hash),
    },
    of_what_was_named,
)


#: a visit, and where it was taken back, with what and by the token of which name
VisitWithRetraction = tuple[VisitRow, RetractionRow | None, str | None]


def visits(
    session: Session, target_id: str, subject_hash: str, query: VisitQuery
) -> Page[VisitWithRetraction]:
    """The visits of a subject on a target that a query asks for."""
    rows = _visits().where(VisitRow.target_id == target_id, VisitRow.subject_hash == subject_hash)
    page = _VISITS.page(session, rows, query)
    return page.with_items([(row[0], row[1], row[2]) for row in page.items])


_VISITS = Listing(
    VisitQuery,
    {
        "state": states(
            {
                "accepted": ACCEPTED,
                "rejected": (VisitRow.rejected != "") & VisitRow.retraction_id.is_(None),
                "retracted": VisitRow.retraction_id.is_not(None),
            }
        ),
        "device_id": equal(VisitRow.device_id),
        "since": since(VisitRow.stored_at),
        "until": until(VisitRow.stored_at),
    },
    {"stored_at": (VisitRow.stored_at, VisitRow.digest)},
    of_what_was_named,
)


def visit(session: Session, visit_id: UUID) -> VisitWithRetraction | None:
    """One visit."""
    row = session.execute(_visits().where(VisitRow.id == visit_id)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def _visits() -> Select[VisitRow, RetractionRow | None, str | None]:
    return (
        select(VisitRow, RetractionRow, TokenRow.name)
        .outerjoin(RetractionRow, RetractionRow.id == VisitRow.retraction_id)
        .outerjoin(TokenRow, TokenRow.id == RetractionRow.token_id)
    )


def raw_archives(session: Session) -> dict[str, str]:
    """The files of archived raw output, by month."""
    rows = session.execute(select(RawArchiveRow.month, RawArchiveRow.file))
    return dict(rows.all())
