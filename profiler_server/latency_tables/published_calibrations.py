"""How a target's latest snapshot maps sums of entries to whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.wire import Calibration
from profiler_server.latency_tables import repository


@dataclass(frozen=True)
class PublishedCalibrations:
    """A snapshot's calibrations."""

    snapshot_id: str
    #: at most one a precision; none where no network was measured
    calibrations: Sequence[Calibration]


def latest(session: Session, target_id: str) -> PublishedCalibrations | None:
    """The calibrations of the target's latest snapshot, None where none is published."""
    found = repository.latest_calibrations(session, target_id)
    if found is None:
        return None
    snapshot_id, calibrations = found
    return PublishedCalibrations(snapshot_id, repository.CALIBRATIONS.validate_json(calibrations))
