"""How a target's latest snapshot maps sums of entries to whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.wire import Calibration
from profiler_server.tables import repository

_CALIBRATIONS: TypeAdapter[list[Calibration]] = TypeAdapter(list[Calibration])


@dataclass(frozen=True)
class PublishedCalibrations:
    """A snapshot's calibrations."""

    snapshot_id: str
    #: at most one a precision; none where no network was measured
    calibrations: Sequence[Calibration]


def latest(session: Session, target_id: str) -> PublishedCalibrations | None:
    """The calibrations of the target's latest snapshot, None where none is published."""
    snapshot_id = repository.latest_id(session, target_id)
    if snapshot_id is None:
        return None
    found = repository.calibrations(session, snapshot_id)
    return PublishedCalibrations(snapshot_id, _CALIBRATIONS.validate_json(found or "[]"))
