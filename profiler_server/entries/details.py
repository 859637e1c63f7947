"""What entries are made of: devices that agree or do not, and visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from netspec.statistics import Estimate, VisitStatistics
from netspec.wire import (
    Conditions,
    DeviceEstimate,
    DisagreementQuery,
    EntryDetail,
    Profile,
    Retraction,
    StoredVisit,
    Visit,
    VisitChoice,
    VisitQuery,
)
from profiler_server.devices.rows import DeviceRow
from profiler_server.devices.service import require_target
from profiler_server.entries import detail_repository as details
from profiler_server.entries import isolated, repository
from profiler_server.entries.consensus import consensus
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.rows import DeviceEstimateRow, RetractionRow, VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.pages import Page, PageRequest

_STATISTICS = tuple(VisitStatistics.model_fields)


def detail(session: Session, target_id: str, subject_hash: str) -> EntryDetail:
    """One entry with each device's part in it.

    Raises:
        Problem: `unknown-target` or `missing-entry`.
    """
    require_target(session, target_id)
    found = repository.entry(session, target_id, subject_hash)
    if found is None:
        raise Problem(
            "missing-entry",
            f"target {target_id} has no entry of subject {subject_hash}; measure it with "
            "POST /v1/jobs",
        )
    return _details(session, target_id, [found])[0]


def disagreement(session: Session, target_id: str, query: DisagreementQuery) -> Page[EntryDetail]:
    """The entries whose devices differ as much as a query asks for, by default by name.

    Raises:
        Problem: `unknown-target`, or `bad-request`: the cursor is not one of this list.
    """
    require_target(session, target_id)
    page = details.disagreeing(session, target_id, query)
    return page.with_items(_details(session, target_id, page.items))


def held_back(session: Session, target_id: str, page_request: PageRequest) -> Page[EntryDetail]:
    """The entries that no table uses, since their devices are not of one mind, by name.

    Raises:
        Problem: `unknown-target`, or `bad-request`: the cursor is not one of this list.
    """
    require_target(session, target_id)
    page = details.held_back(session, target_id, page_request)
    return page.with_items(_details(session, target_id, page.items))


def visits(
    session: Session, target_id: str, subject_hash: str, query: VisitQuery
) -> Page[StoredVisit]:
    """The visits of a subject on a target, accepted or not, by default in the order stored.

    Raises:
        Problem: `unknown-target`, or `bad-request`: the cursor is not one of this list.
    """
    require_target(session, target_id)
    page = details.visits(session, target_id, subject_hash, query)
    archives = details.raw_archives(session)
    return page.with_items([_stored(*found, archives) for found in page.items])


def visit(session: Session, target_id: str, subject_hash: str, visit_id: UUID) -> StoredVisit:
    """One of a subject's visits on a target.

    Raises:
        Problem: `unknown-target` or `not-found`.
    """
    require_target(session, target_id)
    found = details.visit(session, visit_id)
    if found is None or (found[0].target_id, found[0].subject_hash) != (target_id, subject_hash):
        raise Problem(
            "not-found", f"subject {subject_hash} has no visit {visit_id} on target {target_id}"
        )
    return _stored(*found, details.raw_archives(session))


def _details(
    session: Session, target_id: str, entries: Sequence[EntryOfSubject]
) -> list[EntryDetail]:
    hashes = [subject.hash for _, subject in entries]
    of_devices = details.device_estimates(session, target_id, hashes)
    rejected = details.rejected_visits(session, target_id, hashes)
    return [
        _detail(entry, of_devices.get(entry[1].hash, []), rejected.get(entry[1].hash, 0))
        for entry in entries
    ]


def _detail(
    entry: EntryOfSubject, of_devices: Sequence[tuple[DeviceEstimateRow, DeviceRow]], rejected: int
) -> EntryDetail:
    said = [Estimate(row.value_ms, row.low_ms, row.high_ms, row.visits) for row, _ in of_devices]
    counted = consensus(said).counted if said else ()
    estimates = [
        DeviceEstimate(
            device_id=device.id,
            agent=device.agent,
            serial=device.serial,
            value_ms=row.value_ms,
            low_ms=row.low_ms,
            high_ms=row.high_ms,
            visits=row.visits,
            measured_at=row.measured_at,
            counts=counts,
        )
        for (row, device), counts in zip(of_devices, counted, strict=True)
    ]
    lows, highs = [row.low_ms for row in estimates], [row.high_ms for row in estimates]
    return EntryDetail(
        target_id=entry[0].target_id,
        entry=isolated.to_wire(entry),
        devices=tuple(estimates),
        agree=max(lows, default=0.0) <= min(highs, default=0.0),
        rejected_visits=rejected,
    )


def to_wire(row: RetractionRow, by: str | None) -> Retraction:
    """The message of a stored retraction.

    Args:
        row: the retraction.
        by: the name of its token, if it has one.
    """
    return Retraction(
        id=row.id,
        at=row.at,
        token_id=row.token_id,
        by=by or "profiler-server retract",
        reason=row.reason,
        choice=VisitChoice.model_validate_json(row.choice),
        visits=row.visits,
    )


def _stored(
    row: VisitRow, retraction: RetractionRow | None, by: str | None, archives: Mapping[str, str]
) -> StoredVisit:
    visit = Visit(
        id=row.id,
        task_id=row.task_id,
        lease_id=row.lease_id,
        device_id=row.device_id,
        target_id=row.target_id,
        subject_hash=row.subject_hash,
        round=row.round,
        started_at=row.started_at,
        statistics=VisitStatistics(**{name: getattr(row, name) for name in _STATISTICS}),
        before=Conditions.model_validate_json(row.before),
        after=Conditions.model_validate_json(row.after),
        rejected=row.rejected,
        raw=row.raw,
        profile=None if row.profile is None else Profile.model_validate_json(row.profile),
    )
    return StoredVisit(
        visit=visit,
        stored_at=row.stored_at,
        retraction=None if retraction is None else to_wire(retraction, by),
        raw_archive=None if row.raw else archives.get(str(Month.of(row.stored_at))),
        load_ms=row.load_ms,
        first_inference_ms=row.first_inference_ms,
        peak_memory_bytes=row.peak_memory_bytes,
    )
