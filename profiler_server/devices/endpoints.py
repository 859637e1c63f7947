"""Endpoints of devices and targets."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import Device, DeviceRegistration, RegisteredDevice, Target
from profiler_server.auth.dependencies import Agent, Anyone
from profiler_server.auth.ownership import own
from profiler_server.devices import service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.kit.pages import PagingDep

router = APIRouter(prefix="/v1", tags=["devices"])


@router.post("/devices")
def register_device(
    registration: DeviceRegistration, database: DatabaseDep, settings: SettingsDep, who: Agent
) -> RegisteredDevice:
    """An agent presents a device, which is its token's from then on; may be repeated at will."""
    with database.write() as session:
        registered = service.register(session, settings, registration)
        own(session, who, registered.id)
    return registered


@router.get("/devices")
def list_devices(database: DatabaseDep, paging: PagingDep, _: Anyone) -> list[Device]:
    """Devices, by agent and serial."""
    with database.read() as session:
        return paging.answer(service.list_devices(session, paging.asked))


@router.get("/targets")
def list_targets(database: DatabaseDep, paging: PagingDep, _: Anyone) -> list[Target]:
    """Targets with what their tables hold, oldest first."""
    with database.read() as session:
        return paging.answer(service.list_targets(session, paging.asked))


@router.get("/targets/{target_id}")
def get_target(target_id: str, database: DatabaseDep, _: Anyone) -> Target:
    """One target."""
    with database.read() as session:
        return service.get_target(session, target_id)
