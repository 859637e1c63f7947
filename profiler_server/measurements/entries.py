"""Entries: what the accepted visits say. Derived whenever visits are stored, or from scratch."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from operator import itemgetter

from sqlalchemy.orm import Session

from netspec.statistics import estimate
from netspec.wire import Entry
from profiler_server.devices import repository as devices
from profiler_server.measurements import repository
from profiler_server.measurements.repository import EntryOfSubject

#: subjects whose visits are held in memory at a time
_CHUNK = 500


def derive(session: Session, target_id: str, subject_hashes: Collection[str]) -> int:
    """Derives the entries of a target's subjects; those without accepted visits have none.

    Returns:
        How many entries there are of these subjects.
    """
    rows = []
    visits_of = repository.accepted_visits(session, target_id, subject_hashes)
    for subject_hash, visits in visits_of.items():
        estimated = estimate([statistics for statistics, _ in visits])
        rows.append(
            {
                "target_id": target_id,
                "subject_hash": subject_hash,
                "method": "isolated",
                "value_ms": estimated.value_ms,
                "low_ms": estimated.low_ms,
                "high_ms": estimated.high_ms,
                "visits": estimated.visits,
                "measured_at": max(started_at for _, started_at in visits),
            }
        )
    repository.put_entries(session, rows)
    return len(rows)


def rederive(session: Session) -> int:
    """Derives every entry from scratch: the same visits give the same entries.

    Imported entries stay as they are.

    Returns:
        How many were derived.
    """
    devices.lock_targets(session)
    everything = list(repository.measured(session))
    repository.delete_entries(session)
    count = 0
    for target_id, group in groupby(everything, key=itemgetter(0)):
        hashes = [subject_hash for _, subject_hash in group]
        for start in range(0, len(hashes), _CHUNK):
            count += derive(session, target_id, hashes[start : start + _CHUNK])
    return count


def to_wire(found: EntryOfSubject) -> Entry:
    """The message of a stored entry."""
    row, subject = found
    return Entry.model_validate(
        {
            "subject_hash": subject.hash,
            "kind": subject.kind,
            "name": subject.name,
            "precision": subject.precision,
            "method": row.method,
            "value_ms": row.value_ms,
            "low_ms": row.low_ms,
            "high_ms": row.high_ms,
            "visits": row.visits,
            "measured_at": row.measured_at,
        }
    )
