"""What a target's tables leave out: entries that are held back, and visits that were taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import EntryDetail, Retraction
from profiler_server.devices import repository as devices
from profiler_server.devices.service import require_target
from profiler_server.entries import detail_repository, details
from profiler_server.kit.sql.pages import Page, PageRequest
from profiler_server.retractions import repository as retractions
from profiler_server.retractions.repository import TakenSubject

#: of each retraction, on the page
MOST_SUBJECTS = 20
_HELD_A_PAGE = 50
_TAKEN_A_PAGE = 10


@dataclass(frozen=True)
class LeftOut:
    """How much a target's tables leave out."""

    entries: int
    visits: int


@dataclass(frozen=True)
class TakenBack:
    """Visits of a target that were taken back together."""

    retraction: Retraction
    #: on this target
    visits: int
    subject_count: int
    #: the first by name
    subjects: Sequence[TakenSubject]
    #: of the device that was chosen, None where none was
    serial: str | None


@dataclass(frozen=True)
class LeftOutView:
    """The page."""

    identity: TargetIdentity
    held_back: Page[EntryDetail]
    taken_back: Page[TakenBack]


def count(session: Session, target_id: str) -> LeftOut:
    """How much that is."""
    return LeftOut(
        detail_repository.count_held_back(session, target_id),
        retractions.count_visits(session, target_id),
    )


def read(session: Session, target_id: str, held: str | None, taken: str | None) -> LeftOutView:
    """The page.

    Args:
        session: reads.
        target_id: whose tables.
        held: cursor of a page of entries.
        taken: cursor of a page of retractions.

    Raises:
        Problem: `unknown-target`, or `bad-request`: a cursor is not one of its list.
    """
    row = require_target(session, target_id)
    page = retractions.of_target(session, target_id, PageRequest(_TAKEN_A_PAGE, taken))
    ids = [retraction.id for retraction, *_ in page.items]
    subjects = retractions.subjects_of(session, target_id, ids, MOST_SUBJECTS) if ids else {}
    return LeftOutView(
        identity=TargetIdentity.model_validate_json(row.identity),
        held_back=details.held_back(session, target_id, PageRequest(_HELD_A_PAGE, held)),
        taken_back=page.with_items(
            [
                _taken_back(session, details.to_wire(one, by), visits, number, subjects[one.id])
                for one, by, visits, number in page.items
            ]
        ),
    )


def _taken_back(
    session: Session,
    retraction: Retraction,
    visits: int,
    number: int,
    subjects: Sequence[TakenSubject],
) -> TakenBack:
    chosen = retraction.choice.device_id
    device = None if chosen is None else devices.device(session, chosen)
    serial = None if device is None else device.serial
    return TakenBack(retraction, visits, number, subjects, serial)
