"""Endpoints of devices and targets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from netspec.wire import (
    Device,
    DeviceLabels,
    DeviceQuery,
    DeviceRegistration,
    QuarantineRequest,
    RegisteredDevice,
    Target,
    TargetQuery,
)
from profiler_server.auth.dependencies import Admin, Agent, Anyone
from profiler_server.auth.ownership import DeviceGuardDep, own
from profiler_server.devices import predecessors, service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep

router = APIRouter(prefix="/v1", tags=["devices"], route_class=Route)


@router.post("/devices")
def register_device(
    registration: DeviceRegistration, database: DatabaseDep, settings: SettingsDep, who: Agent
) -> RegisteredDevice:
    """An agent presents a device, which is its token's from then on; may be repeated at will."""
    with database.write() as session:
        registered = service.register(session, settings, registration, who.token_id)
        own(session, who, registered.id)
    return registered


@router.get("/devices")
def list_devices(
    query: Annotated[DeviceQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Anyone
) -> list[Device]:
    """Devices, by agent and serial."""
    with database.read() as session:
        return paging.answer(service.list_devices(session, query))


@router.get("/devices/{device_id}")
def get_device(device_id: str, database: DatabaseDep, _: Anyone) -> Device:
    """One device."""
    with database.read() as session:
        return service.get_device(session, device_id)


@router.put("/devices/{device_id}/labels")
def label_device(
    device_id: str, labels: DeviceLabels, database: DatabaseDep, guard: DeviceGuardDep, who: Agent
) -> Device:
    """Gives a device these labels and no others."""
    guard.check_devices(who, [device_id])
    with database.write() as session:
        return service.label(session, device_id, labels.labels)


@router.post("/devices/{device_id}:quarantine")
def quarantine_device(
    device_id: str,
    quarantine: QuarantineRequest,
    database: DatabaseDep,
    guard: DeviceGuardDep,
    who: Agent,
) -> Device:
    """Gives a device no more work until it is released, and stops what it does."""
    guard.check_devices(who, [device_id])
    with database.write() as session:
        return service.quarantine(session, device_id, quarantine.reason)


@router.post("/devices/{device_id}:release")
def release_device(
    device_id: str, database: DatabaseDep, signal: WorkSignalDep, _: Admin
) -> Device:
    """Ends a device's quarantine, and its rest."""
    with database.write() as session:
        released = service.release(session, device_id)
    signal.notify()
    return released


@router.get("/targets")
def list_targets(
    query: Annotated[TargetQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Anyone
) -> list[Target]:
    """Targets with what their tables hold, oldest first."""
    with database.read() as session:
        return paging.answer(service.list_targets(session, query))


@router.get("/targets/{target_id}")
def get_target(target_id: str, database: DatabaseDep, _: Anyone) -> Target:
    """One target."""
    with database.read() as session:
        return service.get_target(session, target_id)


@router.get("/targets/{target_id}/predecessors")
def list_predecessors(target_id: str, database: DatabaseDep, _: Anyone) -> list[Target]:
    """Targets with entries that it was before updates of firmware or runtime, newest first."""
    with database.read() as session:
        service.require_target(session, target_id)
        found = predecessors.predecessors(session, target_id)
        return [service.get_target(session, one) for one in found]
