"""What a visit is for: what the server needs to know of it beside its numbers.

A device keeps a visit's note with its results, so that an agent that starts again can tell whom
the visits of its predecessor belong to.
"""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

import structlog
from pydantic import ValidationError

from device_agent.errors import DeviceNotReady
from device_agent.measuring.acceptance import rejection
from device_agent.measuring.device import MeasuringDevice, VisitResult
from device_agent.measuring.spool import Spool
from device_agent.runners.base import Measured
from device_agent.text import one_line
from netspec.protocol import MeasurementProtocol
from netspec.validation import FrozenModel, first_problem
from netspec.wire import Visit

_MAX_REASON = 500
#: the names of launches are unique by themselves
_LAUNCHES = UUID("6f0c4b5e-6f3e-4a52-9d0a-0f6f6c9a3b11")

_log = structlog.get_logger()


class VisitLabel(FrozenModel):
    """One visit before it is made."""

    #: name of the spool that it goes to, which is one server's
    spool: str
    task_id: str
    lease_id: str
    device_id: str
    target_id: str
    subject_hash: str
    round: int
    #: whether its task asked for a profile
    profiled: bool
    #: of its conditions
    steps: tuple[str, ...]
    anchor_ratio: float | None

    def visit(
        self, result: VisitResult, measured: Measured, protocol: MeasurementProtocol
    ) -> Visit:
        """The visit, now that it was made."""
        rejected = result.rejected or rejection(
            measured.statistics, measured.clean_share, protocol.acceptance
        )
        known = {"steps": self.steps, "anchor_ratio": self.anchor_ratio}
        return Visit(
            id=uuid5(_LAUNCHES, result.launch) if result.launch else uuid4(),
            task_id=self.task_id,
            lease_id=self.lease_id,
            device_id=self.device_id,
            target_id=self.target_id,
            subject_hash=self.subject_hash,
            round=self.round,
            started_at=result.started_at,
            statistics=measured.statistics,
            before=result.before.model_copy(update=known),
            after=result.after,
            rejected=rejected[:_MAX_REASON],
            # What phones print may hold any byte; a database's text may not.
            raw=measured.raw.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            # A file may be visited for another task, too, that did not ask for it.
            profile=measured.profile if self.profiled else None,
        )


def keep_leftovers(device: MeasuringDevice, spool: Spool, protocol: MeasurementProtocol) -> int:
    """Spools what an agent before this one had the device measure; how many visits there are.

    Visits for another server go to its spool, where that is known here.
    """
    kept = 0
    try:
        for text, result in device.leftovers():
            if isinstance(result.outcome, Measured) and (label := _read(text)) is not None:
                kept += _append(label, label.visit(result, result.outcome, protocol), spool)
        device.discard_results(spool.sync)
    except DeviceNotReady as error:
        why = one_line(error)
        _log.warning("not all visits of the agent before were fetched", why=why)
    if kept:
        _log.info("visits of the agent before were kept", visits=kept, device=device.serial)
    return kept


def _read(text: str) -> VisitLabel | None:
    """The note; None where there is none, as of the anchor, or another version's agent wrote it."""
    try:
        return VisitLabel.model_validate_json(text) if text else None
    except ValidationError as error:
        _log.warning("a visit of another version of the agent is dropped", why=first_problem(error))
        return None


def _append(label: VisitLabel, visit: Visit, spool: Spool) -> bool:
    """Whether it was not there yet."""
    path = spool.path.with_name(label.spool)
    if path == spool.path:
        return _append_once(visit, spool)
    if path.exists():
        with Spool(path) as other:
            appended = _append_once(visit, other)
            other.sync()
            return appended
    _log.warning("a visit for a server unknown here is dropped", task=label.task_id)
    return False


def _append_once(visit: Visit, spool: Spool) -> bool:
    """The agent before may have died between spooling a visit and removing it from the device."""
    if spool.knows(visit.id):
        return False
    spool.append(visit)
    return True
