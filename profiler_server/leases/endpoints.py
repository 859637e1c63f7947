"""Endpoints of leases."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from netspec.wire import Lease, LeaseRelease, LeaseRenewal, LeaseRequest, LeaseStatus
from profiler_server.auth.dependencies import Agent
from profiler_server.auth.ownership import DeviceGuardDep
from profiler_server.kit.dependencies import (
    DatabaseDep,
    SettingsDep,
    WorkSignalDep,
    of_application,
)
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.database import Database
from profiler_server.leases import service
from profiler_server.leases.ownership import check_lease
from profiler_server.leases.waiting import WaitingRoom

WaitingRoomDep = Annotated[WaitingRoom, of_application("waiting_room")]

router = APIRouter(prefix="/v1/leases", tags=["leases"], route_class=Route)


_NO_WORK: dict[str, Any] = {
    "description": "There is no work for the device",
    "headers": {
        "Retry-After": {
            "description": "Seconds until a task may be leased that rests now, or that another "
            "device holds; only with `wait_s` 0, and absent where no task is left",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


@router.post("", response_model=Lease, responses={204: _NO_WORK})
async def claim_lease(
    ask: LeaseRequest,
    request: Request,
    database: DatabaseDep,
    waiting_room: WaitingRoomDep,
    guard: DeviceGuardDep,
    who: Agent,
) -> Lease | Response:
    """Leases tasks to a device; waits up to `wait_s` for some to appear."""
    if not guard.knows(who, ask.device_id):
        await run_in_threadpool(guard.check_devices, who, [ask.device_id])
    lease = await waiting_room.claim(request, ask)
    if lease is not None:
        return lease
    # Who waits hears of the end of a rest, and asks again anyway.
    rest_s = await run_in_threadpool(_rest_s, database, ask) if ask.wait_s == 0 else None
    headers = {} if rest_s is None else {"Retry-After": str(max(1, math.ceil(rest_s)))}
    return Response(status_code=204, headers=headers)


def _rest_s(database: Database, ask: LeaseRequest) -> float | None:
    with database.read() as session:
        return service.rest_s(session, ask.device_id)


@router.post("/{lease_id}:renew")
def renew_lease(
    lease_id: str,
    renewal: LeaseRenewal,
    database: DatabaseDep,
    settings: SettingsDep,
    guard: DeviceGuardDep,
    who: Agent,
) -> LeaseStatus:
    """The agent is still at it."""
    check_lease(database, guard, who, lease_id)
    with database.write() as session:
        return service.renew(session, settings, lease_id, renewal)


@router.post("/{lease_id}:release", status_code=204, max_body_size=8 * 2**20)
def release_lease(
    lease_id: str,
    released: LeaseRelease,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    guard: DeviceGuardDep,
    who: Agent,
) -> None:
    """The agent hands the lease back; may be repeated."""
    check_lease(database, guard, who, lease_id)
    with database.write() as session:
        has_work = service.release(session, settings, lease_id, released)
    if has_work:
        signal.notify()
