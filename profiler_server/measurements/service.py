"""Storing visits, each exactly once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from netspec.wire import Visit, VisitBatch, VisitReceipt, VisitReceipts
from profiler_server.devices import repository as devices
from profiler_server.jobs import progress
from profiler_server.jobs import repository as jobs
from profiler_server.kit.database import database_now
from profiler_server.measurements import entries, repository


def store(session: Session, batch: VisitBatch) -> VisitReceipts:
    """Stores visits, derives the entries they change, and closes the tasks they complete.

    Whether the lease under which a visit was made still lives does not matter: a late
    visit is a true measurement.
    """
    digests = {visit.id: _digest(visit) for visit in reversed(batch.visits)}
    # Entries and progress are counted over all visits of a target: no other upload may be
    # half-way through the same.
    targets = devices.lock_targets(session, {visit.target_id for visit in batch.visits})
    present = repository.digests(session, digests)
    known_ids = _with_known_parts(session, batch.visits, targets)
    new = {
        visit.id: visit
        for visit in reversed(batch.visits)
        if visit.id not in present and visit.id in known_ids
    }
    repository.store_visits(
        session,
        # In one order: uploads for different targets may name the same ids.
        [(new[one], digests[one]) for one in sorted(new)],
        database_now(session),
    )
    # An upload for another target may have taken an id in the meantime.
    winners = {**present, **repository.digests(session, new)}
    _follow_up(session, new.values())
    receipts = []
    fresh = set(new)
    for visit in batch.visits:
        if visit.id not in winners:
            receipts.append(VisitReceipt(id=visit.id, state="unknown"))
        elif winners[visit.id] != _digest(visit):
            receipts.append(VisitReceipt(id=visit.id, state="conflict"))
        elif visit.id in fresh:
            receipts.append(VisitReceipt(id=visit.id, state="stored"))
            fresh.remove(visit.id)
        else:
            receipts.append(VisitReceipt(id=visit.id, state="duplicate"))
    return VisitReceipts(receipts=tuple(receipts))


def _digest(visit: Visit) -> str:
    return hashlib.sha256(visit.model_dump_json().encode()).hexdigest()


def _with_known_parts(
    session: Session, visits: Sequence[Visit], known_targets: Collection[str]
) -> set[UUID]:
    known_devices = devices.known_device_ids(session, {visit.device_id for visit in visits})
    known_subjects = jobs.known_subjects(session, {visit.subject_hash for visit in visits})
    return {
        visit.id
        for visit in visits
        if visit.device_id in known_devices
        and visit.target_id in known_targets
        and visit.subject_hash in known_subjects
    }


def _follow_up(session: Session, new: Iterable[Visit]) -> None:
    touched: dict[str, set[str]] = {}
    for visit in new:
        if not visit.rejected:
            touched.setdefault(visit.target_id, set()).add(visit.subject_hash)
    for target_id, subject_hashes in sorted(touched.items()):
        entries.derive(session, target_id, subject_hashes)
        progress.update_of_subjects(session, target_id, subject_hashes)
