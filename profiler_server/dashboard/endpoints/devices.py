"""One device: what it does and why, its last day, and what people do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from sqlalchemy.orm import Session

from netspec.validation import first_problem
from netspec.wire import QuarantineRequest
from profiler_server.auth.ownership import DeviceGuardDep
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import (
    Admin,
    AgentsOwner,
    Anyone,
    Cursor,
    Viewer,
)
from profiler_server.dashboard.live.pages import Parts
from profiler_server.dashboard.live.streams import LivePagesDep, follow
from profiler_server.dashboard.named_values import named_values
from profiler_server.dashboard.views.devices import device
from profiler_server.dashboard.views.devices.device import DeviceView
from profiler_server.devices import service
from profiler_server.kit.dependencies import DatabaseDep, WorkSignalDep
from profiler_server.kit.problems import Problem

router = APIRouter(prefix="/devices/{device_id}")

_PARTS = ("standing", "plots", "events")


@router.get("")
def show_device(
    request: Request, device_id: str, database: DatabaseDep, viewer: Anyone, cursor: Cursor = None
) -> Response:
    """One device, what it does and why, and its last day."""
    with database.read() as session:
        shown = device.read(session, device_id, cursor)
    labels = "\n".join(f"{name}={value}" for name, value in shown.line.labels.items())
    return _page(request, viewer, shown, labels)


def _page(
    request: Request,
    viewer: Viewer,
    shown: DeviceView,
    labels: str,
    problem: Problem | None = None,
) -> Response:
    may_release = Scope.ADMIN in viewer.principal.scopes
    is_own = shown.owner_id in (None, viewer.principal.token_id)
    return rendering.page(
        request,
        "device.html.j2",
        HTTPStatus.OK if problem is None else problem.status,
        shown=shown,
        labels=labels,
        may_change=may_release or (viewer.principal.may([Scope.AGENT]) and is_own),
        may_release=may_release,
        why="" if problem is None else problem.detail,
    )


def _exists(device_id: str, database: DatabaseDep) -> None:
    with database.read() as session:
        service.get_device(session, device_id)


@router.get("/live", response_class=EventSourceResponse, dependencies=[Depends(_exists)])
async def follow_device(
    request: Request, device_id: str, pages: LivePagesDep, viewer: Anyone
) -> AsyncIterator[ServerSentEvent]:
    """Changed parts of the page."""

    def read(session: Session) -> Parts:
        shown = device.read(session, device_id)
        return Parts(
            {
                f"device-{name}": rendering.render(request, f"device_{name}.html.j2", shown=shown)
                for name in _PARTS
            }
        )

    key = ("device", device_id, rendering.base_of(request), viewer.may_read_tables)
    async for event in follow(request, pages, key, read):
        yield event


@router.post("/labels")
def label_device(
    request: Request,
    device_id: str,
    database: DatabaseDep,
    guard: DeviceGuardDep,
    viewer: AgentsOwner,
    labels: Annotated[str, Form()] = "",
) -> Response:
    """Gives the device these labels and no others."""
    guard.check_devices(viewer.principal, [device_id])
    try:
        wanted = named_values(labels, "\n")
    except Problem as problem:
        with database.read() as session:
            shown = device.read(session, device_id)
        return _page(request, viewer, shown, labels, problem)
    with database.write() as session:
        service.label(session, device_id, wanted)
    return _to_device(request, device_id)


@router.post("/quarantine")
def quarantine_device(
    request: Request,
    device_id: str,
    database: DatabaseDep,
    guard: DeviceGuardDep,
    viewer: AgentsOwner,
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Gives the device no more work until it is released, and stops what it does."""
    guard.check_devices(viewer.principal, [device_id])
    try:
        wanted = QuarantineRequest(reason=reason.strip())
    except ValidationError as error:
        raise Problem("invalid-request", first_problem(error)) from error
    with database.write() as session:
        service.quarantine(session, device_id, wanted.reason)
    return _to_device(request, device_id)


@router.post("/release")
def release_device(
    request: Request, device_id: str, database: DatabaseDep, signal: WorkSignalDep, _: Admin
) -> Response:
    """Ends the device's quarantine, and its rest."""
    with database.write() as session:
        service.release(session, device_id)
    signal.notify()
    return _to_device(request, device_id)


def _to_device(request: Request, device_id: str) -> Response:
    address = f"{rendering.base_of(request)}/devices/{rendering.segment(device_id)}"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)
