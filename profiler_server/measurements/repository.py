"""SQL of visits and entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import Session

from netspec.statistics import VisitStatistics
from netspec.wire import Method, Visit
from profiler_server.jobs.tables import SubjectRow, TaskRow
from profiler_server.kit.database import insert_absent, insert_or_replace
from profiler_server.kit.pages import Page, PageRequest, read_page
from profiler_server.measurements.tables import EntryRow, VisitRow

#: target and subject hash
Measured = tuple[str, str]
#: an entry with the subject that it is of
EntryOfSubject = tuple[EntryRow, SubjectRow]

#: method of the entries that come out of published tables
IMPORTED: Method = "imported"

_STATISTICS = tuple(VisitStatistics.model_fields)


def digests(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """The digests of those of the visits that are stored."""
    rows = session.execute(select(VisitRow.id, VisitRow.digest).where(VisitRow.id.in_(ids)))
    return dict(rows.all())


def store_visits(
    session: Session, visits: Iterable[tuple[Visit, str]], stored_at: datetime
) -> None:
    """Inserts visits with their digests; those whose id is there are left out."""
    insert_absent(session, VisitRow, [_columns(*visit, stored_at) for visit in visits])


def _columns(visit: Visit, digest: str, stored_at: datetime) -> dict[str, Any]:
    same = ("id", "task_id", "device_id", "target_id", "subject_hash", "round", "started_at")
    return {
        **{name: getattr(visit, name) for name in (*same, "rejected", "raw")},
        **{name: getattr(visit.statistics, name) for name in _STATISTICS},
        "digest": digest,
        "stored_at": stored_at,
        "before": visit.before.model_dump_json(exclude_none=True),
        "after": visit.after.model_dump_json(exclude_none=True),
    }


def accepted_visits(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> dict[str, list[tuple[VisitStatistics, datetime]]]:
    """Statistics and start of every accepted visit, by subject."""
    found: dict[str, list[tuple[VisitStatistics, datetime]]] = {}
    columns = [getattr(VisitRow, name) for name in _STATISTICS]
    for subject_hash, started_at, *values in session.execute(
        select(VisitRow.subject_hash, VisitRow.started_at, *columns).where(
            VisitRow.target_id == target_id,
            VisitRow.subject_hash.in_(subject_hashes),
            VisitRow.rejected == "",
        )
    ):
        statistics = VisitStatistics(**dict(zip(_STATISTICS, values, strict=True)))
        found.setdefault(subject_hash, []).append((statistics, started_at))
    return found


def measured(session: Session) -> Iterator[Measured]:
    """Every target and subject that has an accepted visit, sorted."""
    rows = session.execute(
        select(VisitRow.target_id, VisitRow.subject_hash)
        .where(VisitRow.rejected == "")
        .distinct()
        .order_by(VisitRow.target_id, VisitRow.subject_hash)
    )
    yield from rows


def put_entries(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts entries, or replaces those that are there."""
    insert_or_replace(session, EntryRow, rows, ("target_id", "subject_hash"))


def delete_entries(session: Session) -> None:
    """Forgets every derived entry; imported ones have no visits to be derived from again."""
    session.execute(delete(EntryRow).where(EntryRow.method != IMPORTED))


def entries_of_target(session: Session, target_id: str) -> list[EntryOfSubject]:
    """All entries of a target, by name."""
    return _entries(session, _joined().where(EntryRow.target_id == target_id))


def entry(session: Session, target_id: str, subject_hash: str) -> EntryOfSubject | None:
    """One entry."""
    one: ColumnElement[bool] = EntryRow.subject_hash == subject_hash
    found = _entries(session, _joined().where(EntryRow.target_id == target_id, one))
    return found[0] if found else None


def entries_of_subjects(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> list[EntryOfSubject]:
    """The target's entries of those of the subjects that have one, by name."""
    of_target = _joined().where(EntryRow.target_id == target_id)
    return _entries(session, of_target.where(EntryRow.subject_hash.in_(subject_hashes)))


def entries_of_job(session: Session, job_id: str, asked: PageRequest) -> Page[EntryOfSubject]:
    """The entries of a job's subjects, by name."""
    of_job = (TaskRow.subject_hash == EntryRow.subject_hash) & (
        TaskRow.target_id == EntryRow.target_id
    )
    query = _joined().join(TaskRow, of_job).where(TaskRow.job_id == job_id)
    page = read_page(session, query, (SubjectRow.name, SubjectRow.hash), asked)
    return page.with_items([(row[0], row[1]) for row in page.items])


def count_derived_entries(session: Session) -> int:
    """How many entries there are that were not imported."""
    derived = select(func.count()).select_from(EntryRow).where(EntryRow.method != IMPORTED)
    return session.scalar(derived) or 0


def _joined() -> Select[EntryRow, SubjectRow]:
    return (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .order_by(SubjectRow.name, SubjectRow.hash)
    )


def _entries(session: Session, query: Select[EntryRow, SubjectRow]) -> list[EntryOfSubject]:
    return [(row, subject) for row, subject in session.execute(query)]
