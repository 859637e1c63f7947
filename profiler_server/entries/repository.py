"""SQL of visits and entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.orm import Session

from netspec.launches import Launch
from netspec.wire import Method, Visit
from profiler_server.entries.rows import EntryRow, VisitRow
from profiler_server.kit.sql.bulk import Row, insert_absent
from profiler_server.kit.sql.many_values import is_in
from profiler_server.subjects.rows import SubjectRow

#: method of the entries that come out of published tables
IMPORTED: Method = "imported"
#: an entry with the subject that it is of
EntryOfSubject = tuple[EntryRow, SubjectRow]


@dataclass(frozen=True)
class JudgedVisit:
    """A visit as it is stored."""

    visit: Visit
    #: SHA-256 of the message
    digest: str
    #: why it must not enter an estimate, empty if it may: the agent's reason, or the server's
    rejected: str
    #: what its raw text says
    launch: Launch


def digests(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """The digests of those of the visits that are stored."""
    rows = session.execute(
        select(VisitRow.id, VisitRow.digest).where(is_in(session, VisitRow.id, ids))
    )
    return dict(rows.all())


def store_visits(
    session: Session, visits: Iterable[JudgedVisit], token_id: str, stored_at: datetime
) -> int:
    """Inserts visits; those whose id is there are left out. How many were inserted."""
    rows = [_columns(visit, token_id, stored_at) for visit in visits]
    return insert_absent(session, VisitRow, rows)


def _columns(judged: JudgedVisit, token_id: str, stored_at: datetime) -> Row:
    visit, statistics = judged.visit, judged.visit.statistics
    return {
        "id": visit.id,
        "digest": judged.digest,
        "task_id": visit.task_id,
        "lease_id": visit.lease_id,
        "token_id": token_id,
        "device_id": visit.device_id,
        "target_id": visit.target_id,
        "subject_hash": visit.subject_hash,
        "round": visit.round,
        "started_at": visit.started_at,
        "stored_at": stored_at,
        "count": statistics.count,
        "min_us": statistics.min_us,
        "p5_us": statistics.p5_us,
        "median_us": statistics.median_us,
        "p95_us": statistics.p95_us,
        "mean_us": statistics.mean_us,
        "std_us": statistics.std_us,
        "before": visit.before.model_dump_json(exclude_none=True),
        "after": visit.after.model_dump_json(exclude_none=True),
        "rejected": judged.rejected,
        "raw": visit.raw,
        "profile": None if visit.profile is None else visit.profile.model_dump_json(),
        "load_ms": judged.launch.load_ms,
        "first_inference_ms": judged.launch.first_inference_ms,
        "peak_memory_bytes": judged.launch.peak_memory_bytes,
    }


def entries_of_target(session: Session, target_id: str) -> list[EntryOfSubject]:
    """All entries of a target that may be used, by name."""
    return _entries(session, _joined().where(EntryRow.target_id == target_id, ~EntryRow.held_back))


def operator_values_since(
    session: Session, target_id: str, since: datetime
) -> dict[str, dict[str, float]]:
    """By precision and canonical key, the latencies (ms) that may be used of a target.

    Args:
        session: reads.
        target_id: whose.
        since: only of entries that were written after it, or nobody knows when.
    """
    written = EntryRow.written_at
    found: dict[str, dict[str, float]] = {}
    for is_later in (written >= since, written.is_(None)):
        rows = session.execute(
            select(SubjectRow.precision, SubjectRow.name, EntryRow.value_ms)
            .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
            .where(
                EntryRow.target_id == target_id,
                is_later,
                ~EntryRow.held_back,
                SubjectRow.kind == "operator",
            )
        )
        for precision, name, value_ms in rows:
            found.setdefault(precision or "", {})[name] = value_ms
    return found


def held_back(session: Session, target_id: str) -> list[EntryOfSubject]:
    """The entries of a target whose devices are not of one mind, by name."""
    return _entries(session, _joined().where(EntryRow.target_id == target_id, EntryRow.held_back))


def entry(session: Session, target_id: str, subject_hash: str) -> EntryOfSubject | None:
    """One entry, also one that is held back."""
    one: ColumnElement[bool] = EntryRow.subject_hash == subject_hash
    found = _entries(session, _joined().where(EntryRow.target_id == target_id, one))
    return found[0] if found else None


def entries_of_subjects(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> list[EntryOfSubject]:
    """The target's entries of those of the subjects that have one, held back or not, by name."""
    of_target = _joined().where(EntryRow.target_id == target_id)
    return _entries(session, of_target.where(is_in(session, EntryRow.subject_hash, subject_hashes)))


def _joined() -> Select[EntryRow, SubjectRow]:
    return (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .order_by(SubjectRow.name, SubjectRow.hash)
    )


def _entries(session: Session, query: Select[EntryRow, SubjectRow]) -> list[EntryOfSubject]:
    return [(row, subject) for row, subject in session.execute(query)]


def is_imported(session: Session, target_id: str) -> bool:
    """Whether entries of the target come out of a published table."""
    imported = exists().where(EntryRow.target_id == target_id, EntryRow.method == IMPORTED)
    return bool(session.scalar(select(imported)))
