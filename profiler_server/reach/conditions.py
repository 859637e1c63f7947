"""What is within a reach, as SQL: all that lists and look-ups know of it.

A device has labels; a target is seen through the devices that measure it now, and a job through
its targets. What a token has registered itself it sees whatever its labels are now: an agent goes
on, and a target that it has left for another one can be returned to.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Text,
    and_,
    column,
    exists,
    or_,
    select,
    table,
)
from sqlalchemy.orm import InstrumentedAttribute

from profiler_server.kit.sql.json_text import JsonText
from profiler_server.kit.sql.reach import Reach, Within

#: of the floors above, as far as it takes
_DEVICES = table("devices", column("id", String), column("labels", Text))
_OWNERS = table("device_owners", column("device_id", String), column("token_id", String))
_MEASURED = table("device_targets", column("device_id", String), column("target_id", String))
_TARGETS = table("targets", column("id", String), column("token_id", String))
#: another name: a list may be one of that table's rows
_JOB_TARGETS = table("job_targets", column("job_id", String), column("target_id", String)).alias(
    "targets_of_job"
)
_SNAPSHOTS = table("snapshots", column("id", String), column("target_id", String))

#: an id, as a column or a value
Id = ColumnElement[str] | InstrumentedAttribute[str] | InstrumentedAttribute[str | None]


def of_devices(device_id: Id) -> Within:
    """The device has the labels, or was registered with the token."""
    return lambda reach: device_id.in_(_devices(reach))


def of_targets(target_id: Id) -> Within:
    """Such a device measures the target, or it was registered with the token first."""

    def within(reach: Reach) -> ColumnElement[bool]:
        measured = select(_MEASURED.c.target_id).where(_MEASURED.c.device_id.in_(_devices(reach)))
        own = select(_TARGETS.c.id).where(_TARGETS.c.token_id == reach.token_id)
        return or_(target_id.in_(measured), target_id.in_(own))

    return within


def of_jobs(job_id: Id) -> Within:
    """Every target of the job is seen."""

    def within(reach: Reach) -> ColumnElement[bool]:
        has_targets = exists().where(_JOB_TARGETS.c.job_id == job_id)
        hidden = ~of_targets(_JOB_TARGETS.c.target_id)(reach)
        return and_(has_targets, ~exists().where(_JOB_TARGETS.c.job_id == job_id, hidden))

    return within


def of_snapshots(snapshot_id: Id) -> Within:
    """The target is seen whose table it is."""

    def within(reach: Reach) -> ColumnElement[bool]:
        of_seen = select(_SNAPSHOTS.c.id).where(of_targets(_SNAPSHOTS.c.target_id)(reach))
        return snapshot_id.in_(of_seen)

    return within


def of_events(
    job_id: Id, device_id: Id, data: ColumnElement[str] | InstrumentedAttribute[str]
) -> Within:
    """All that the event is about is seen: its job, its device, its target; one at the least."""
    target_id = JsonText(data, "target_id")

    def within(reach: Reach) -> ColumnElement[bool]:
        about = (
            (job_id, of_jobs(job_id)),
            (device_id, of_devices(device_id)),
            (target_id, of_targets(target_id)),
        )
        return and_(
            or_(*(one.is_not(None) for one, _ in about)),
            *(or_(one.is_(None), seen(reach)) for one, seen in about),
        )

    return within


def _devices(reach: Reach) -> Select[str]:
    labelled = (JsonText(_DEVICES.c.labels, name) == value for name, value in reach.labels)
    own = select(_OWNERS.c.device_id).where(_OWNERS.c.token_id == reach.token_id)
    return select(_DEVICES.c.id).where(or_(and_(*labelled), _DEVICES.c.id.in_(own)))
