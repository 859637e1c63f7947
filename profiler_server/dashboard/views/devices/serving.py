"""Who could do what a job waits for, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from profiler_server.dashboard.views import farm_repository as repository
from profiler_server.dashboard.views.farm_repository import DeviceState

#: devices that are named, of all targets together
_MOST_DEVICES = 20
#: jobs that wait in vain, on the farm's page
_MOST_JOBS = 10


@dataclass(frozen=True)
class ServingDevice:
    """A device of a target, and what it does."""

    id: str
    serial: str
    agent: str
    state: DeviceState
    #: why it is in quarantine
    reason: str
    last_seen: datetime


@dataclass(frozen=True)
class Unserved:
    """A target that no device serves now."""

    identity: TargetIdentity
    #: those that have it: each is silent or in quarantine
    devices: Sequence[ServingDevice]


@dataclass(frozen=True)
class WaitingJob:
    """A job that waits for a device that does not come."""

    id: str
    name: str
    target: str


def unserved(
    session: Session, now: datetime, target_ids: Collection[str]
) -> Mapping[str, Unserved]:
    """What would serve targets that no device serves, by target."""
    if not target_ids:
        return {}
    devices = repository.of_targets(session, now, target_ids, _MOST_DEVICES)
    return {
        target_id: Unserved(
            TargetIdentity.model_validate_json(identity),
            [
                ServingDevice(
                    row.id, row.serial, row.agent, state, row.quarantine_reason, row.last_seen
                )
                for row, state in devices.get(target_id, ())
            ],
        )
        for target_id, identity in repository.identities(session, target_ids).items()
    }


def waiting_jobs(session: Session, now: datetime) -> list[WaitingJob]:
    """The first open jobs of which a target has no device that serves it."""
    found = repository.unserved_jobs(session, now, _MOST_JOBS)
    identities = repository.identities(session, {target_id for *_, target_id in found})
    return [
        WaitingJob(job_id, name, TargetIdentity.model_validate_json(identities[target_id]).label)
        for job_id, name, target_id in found
    ]
