"""Registering devices, and what targets there are."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.console.short_ids import the_only
from netspec.protocol import TargetIdentity
from netspec.wire import (
    Device,
    DeviceQuery,
    DeviceRegistration,
    Quarantine,
    RegisteredDevice,
    Target,
    TargetQuery,
    TaskMethod,
)
from profiler_server.devices import predecessors, repository
from profiler_server.devices.rows import NO_LABELS, DeviceRow, TargetRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import reach_of
from profiler_server.kit.work_notices import announce

_SHOWN_TARGETS = 5
_METHODS: TypeAdapter[tuple[TaskMethod, ...]] = TypeAdapter(tuple[TaskMethod, ...])


def register(
    session: Session, settings: Settings, registration: DeviceRegistration, token_id: str
) -> RegisteredDevice:
    """Makes the device and its targets known; the id of an agent's serial never changes.

    Args:
        session: a writing transaction.
        settings: tell the agent how often to renew.
        registration: what the agent says.
        token_id: with which; new targets are its own.

    Raises:
        Problem: `protocol-mismatch`, or `outside-labels`: the token is limited to labels that the
            device lacks, or does not see one of the targets.
    """
    protocol = registration.protocol.content_hash
    if any(target.protocol != protocol for target in registration.targets):
        raise Problem(
            "protocol-mismatch",
            f"every target must name the registration's protocol, whose hash is {protocol}",
        )
    now = database_now(session)
    wanted = {target.id for target in registration.targets}
    known = repository.known_targets(session, wanted)
    _refuse_hidden(session, known)
    new = wanted - known
    repository.ensure_targets(session, registration.targets, token_id, now)
    predecessors.offer(session, new, now)
    device_id = repository.ensure_device(session, registration, now)
    target_ids = tuple(dict.fromkeys(target.id for target in registration.targets))
    repository.set_device_targets(session, device_id, target_ids)
    row = _require(session, device_id)
    labels, reach = registration.labels, reach_of(session)
    if labels is None and reach is not None and row.labels == NO_LABELS:
        labels = dict(reach.labels)
    if labels is not None:
        _label(session, row, labels, now)
    return RegisteredDevice(
        id=device_id,
        target_ids=target_ids,
        lease_ttl_s=settings.lease_ttl_s,
        renew_every_s=settings.renew_every_s,
        server_id=repository.server_id(session),
    )


def _refuse_hidden(session: Session, known: Collection[str]) -> None:
    """Lets nobody see a target by presenting a device of that kind."""
    hidden = [one for one in sorted(known) if repository.target(session, one) is None]
    if hidden:
        raise Problem(
            "outside-labels",
            f"target {hidden[0]} is there, and no device labelled {reach_of(session)} measures it, "
            "to which the token is limited; have one registered with a token that is not",
        )


def list_devices(session: Session, query: DeviceQuery) -> Page[Device]:
    """The devices that a query asks for, by default by agent and serial.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.devices(session, query, database_now(session))
    return page.with_items(_devices(session, page.items))


def get_device(session: Session, device_id: str) -> Device:
    """One device.

    Raises:
        Problem: `unknown-device`.
    """
    row = repository.device(session, device_id)
    if row is None:
        raise unknown_device(device_id)
    return _devices(session, [row])[0]


def label(session: Session, device_id: str, labels: dict[str, str]) -> Device:
    """Gives a device these labels and no others.

    Raises:
        Problem: `unknown-device`, or `outside-labels`: the token is limited to others.
    """
    row = _require(session, device_id)
    _label(session, row, labels, database_now(session))
    return _devices(session, [row])[0]


def quarantine(session: Session, device_id: str, reason: str) -> Device:
    """Gives a device no more work, and stops what it does. May be repeated with another reason.

    Raises:
        Problem: `unknown-device`.
    """
    row, now = _require(session, device_id), database_now(session)
    row.quarantined_at = row.quarantined_at or now
    row.quarantine_reason = reason
    events.append(session, now, EventKind.DEVICE_QUARANTINED, device_id=row.id, reason=reason)
    return _devices(session, [row])[0]


def release(session: Session, device_id: str) -> Device:
    """Ends a device's quarantine and its rest. May be repeated.

    Raises:
        Problem: `unknown-device`.
    """
    row = _require(session, device_id)
    if row.quarantined_at is not None or row.rests_until is not None:
        row.quarantined_at, row.quarantine_reason = None, ""
        row.rests_until, row.fruitless = None, 0
        events.append(session, database_now(session), EventKind.DEVICE_RELEASED, device_id=row.id)
        announce(session)
    return _devices(session, [row])[0]


def _require(session: Session, device_id: str) -> DeviceRow:
    """The device, locked."""
    row = repository.lock_device(session, device_id)
    if row is None:
        raise unknown_device(device_id)
    return row


def unknown_device(device_id: str) -> Problem:
    """The problem with an id that no device has."""
    return Problem("unknown-device", f"no device {device_id!r}; GET /v1/devices lists them")


def _label(session: Session, row: DeviceRow, labels: dict[str, str], now: datetime) -> None:
    reach = reach_of(session)
    if reach is not None and not dict(reach.labels).items() <= labels.items():
        raise Problem(
            "outside-labels",
            f"the token is limited to devices labelled {reach}, and this one would have "
            f"{json.dumps(labels, sort_keys=True)}; give it these labels, too",
        )
    stored = json.dumps(labels, sort_keys=True)
    if stored != row.labels:
        row.labels = stored
        events.append(session, now, EventKind.DEVICE_LABELLED, device_id=row.id, labels=stored)


def _devices(session: Session, rows: Sequence[DeviceRow]) -> list[Device]:
    targets = repository.target_ids_of(session, [row.id for row in rows])
    return [_device(row, targets.get(row.id, ())) for row in rows]


def _device(row: DeviceRow, target_ids: Sequence[str]) -> Device:
    quarantined = None
    if row.quarantined_at is not None:
        quarantined = Quarantine(since=row.quarantined_at, reason=row.quarantine_reason)
    return Device(
        id=row.id,
        agent=row.agent,
        serial=row.serial,
        target_ids=tuple(target_ids),
        last_seen=row.last_seen,
        labels=json.loads(row.labels),
        quarantine=quarantined,
        rests_until=row.rests_until,
        methods=_METHODS.validate_python(row.methods.split()),
    )


def list_targets(session: Session, query: TargetQuery) -> Page[Target]:
    """The targets that a query asks for, by default the oldest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.page_of_targets(session, query)
    counts = repository.counts_by_target(session, [row.id for row in page.items])
    return page.with_items([_target(row, counts.get(row.id, (0, 0))) for row in page.items])


def get_target(session: Session, target_id: str) -> Target:
    """One target.

    Raises:
        Problem: `unknown-target`.
    """
    row = require_target(session, target_id)
    return _target(row, repository.counts_by_target(session, [row.id]).get(row.id, (0, 0)))


def find_target(session: Session, beginning: str) -> str:
    """Return the id of the only target whose id begins so; commands take what people type.

    Raises:
        UnknownId: none or several fit; the message lists the candidates.
    """
    return the_only(
        "target",
        repository.targets(session),
        beginning,
        "search-client targets",
        names=lambda row: [row.id],
        label=lambda row: _identity(row).label,
    ).id


def require_target(session: Session, target_id: str) -> TargetRow:
    """One target's row.

    Raises:
        Problem: `unknown-target`, naming what targets there are.
    """
    row = repository.target(session, target_id)
    if row is not None:
        return row
    known = repository.targets(session)
    if not known:
        there_is = "no device has registered yet; start `device-agent run`"
    else:
        shown = "; ".join(f"{one.id} ({_identity(one).label})" for one in known[:_SHOWN_TARGETS])
        more = len(known) - _SHOWN_TARGETS
        there_is = f"there are: {shown}" + (f" and {more} more" if more > 0 else "")
    raise Problem("unknown-target", f"no target {target_id!r}; {there_is}")


def _identity(row: TargetRow) -> TargetIdentity:
    return TargetIdentity.model_validate_json(row.identity)


def _target(row: TargetRow, counts: tuple[int, int]) -> Target:
    entries, devices = counts
    return Target(id=row.id, identity=_identity(row), entries=entries, devices=devices)
