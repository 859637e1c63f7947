"""Which visits a lease covers: those of its device, on its target, of the subjects leased.

An agent measures what it was asked to and nothing else, also long after the lease has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import Visit
from profiler_server.kit.sql.many_values import is_in
from profiler_server.leases.rows import LeaseRow

#: of each subject's hash; a task that was handed back tells nothing of its last lease, and whole
#: hashes of all that was ever leased would be more than the visits' numbers
_KEPT_BYTES = 8


def packed(subject_hashes: Iterable[str]) -> bytes:
    """The subjects of a lease, in the form that is kept."""
    return b"".join(map(_head, subject_hashes))


@dataclass(frozen=True)
class Coverage:
    """What one lease covers."""

    device_id: str
    target_id: str
    subjects: frozenset[bytes]

    def covers(self, visit: Visit) -> bool:
        """Whether the visit may be of this lease."""
        return visit.device_id == self.device_id and self.names(visit.target_id, visit.subject_hash)

    def names(self, target_id: str, subject_hash: str) -> bool:
        """Whether the lease is on the target and for the subject."""
        return target_id == self.target_id and _head(subject_hash) in self.subjects


def coverages(session: Session, lease_ids: Collection[str]) -> dict[str, Coverage]:
    """What those of the leases cover that there are or were."""
    rows = session.execute(
        select(LeaseRow.id, LeaseRow.device_id, LeaseRow.target_id, LeaseRow.subjects).where(
            is_in(session, LeaseRow.id, lease_ids)
        )
    )
    return {
        lease_id: Coverage(device_id, target_id, _unpacked(subjects or b""))
        for lease_id, device_id, target_id, subjects in rows
    }


def _head(subject_hash: str) -> bytes:
    return bytes.fromhex(subject_hash)[:_KEPT_BYTES]


def _unpacked(subjects: bytes) -> frozenset[bytes]:
    starts = range(0, len(subjects), _KEPT_BYTES)
    return frozenset(subjects[start : start + _KEPT_BYTES] for start in starts)
