"""Registering devices, and what targets there are."""

from __future__ import annotations

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import Device, DeviceRegistration, RegisteredDevice, Target
from profiler_server.devices import repository
from profiler_server.devices.tables import TargetRow
from profiler_server.kit.database import database_now
from profiler_server.kit.pages import Page, PageRequest
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings

_SHOWN_TARGETS = 5


def register(
    session: Session, settings: Settings, registration: DeviceRegistration
) -> RegisteredDevice:
    """Makes the device and its targets known; the id of an agent's serial never changes.

    Raises:
        Problem: `protocol-mismatch`.
    """
    protocol = registration.protocol.content_hash
    if any(target.protocol != protocol for target in registration.targets):
        raise Problem(
            "protocol-mismatch",
            f"every target must name the registration's protocol, whose hash is {protocol}",
        )
    now = database_now(session)
    repository.ensure_targets(session, registration.targets, now)
    device_id = repository.ensure_device(
        session, registration.agent, registration.serial, registration.protocol, now
    )
    target_ids = tuple(dict.fromkeys(target.id for target in registration.targets))
    repository.set_device_targets(session, device_id, target_ids)
    return RegisteredDevice(
        id=device_id,
        target_ids=target_ids,
        lease_ttl_s=settings.lease_ttl_s,
        renew_every_s=settings.renew_every_s,
    )


def list_devices(session: Session, asked: PageRequest) -> Page[Device]:
    """Devices, by agent and serial.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    page = repository.devices(session, asked)
    targets = repository.target_ids_of(session, [row.id for row in page.items])
    listed = [
        Device(
            id=row.id,
            agent=row.agent,
            serial=row.serial,
            target_ids=tuple(targets.get(row.id, ())),
            last_seen=row.last_seen,
        )
        for row in page.items
    ]
    return page.with_items(listed)


def list_targets(session: Session, asked: PageRequest) -> Page[Target]:
    """Targets, oldest first.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    page = repository.page_of_targets(session, asked)
    counts = repository.counts_by_target(session, [row.id for row in page.items])
    return page.with_items([_target(row, counts.get(row.id, (0, 0))) for row in page.items])


def get_target(session: Session, target_id: str) -> Target:
    """One target.

    Raises:
        Problem: `unknown-target`.
    """
    row = require_target(session, target_id)
    return _target(row, repository.counts_by_target(session, [row.id]).get(row.id, (0, 0)))


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
