"""The farm: its agents and devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, Cursor
from profiler_server.dashboard.views import farm
from profiler_server.dashboard.views.farm_repository import DeviceState
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.sql.pages import PageRequest

router = APIRouter()


@router.get("/")
def show_farm(
    request: Request,
    database: DatabaseDep,
    _: Anyone,
    agent: Annotated[str, Query()] = "",
    state: Annotated[str, Query()] = "",
    cursor: Cursor = None,
) -> Response:
    """Agents and devices, those of one agent or in one state if a form asks for that."""
    wanted = DeviceState(state) if state in list(DeviceState) else None
    with database.read() as session:
        read = farm.read(session, PageRequest(cursor=cursor), agent=agent or None, state=wanted)
    return rendering.page(
        request,
        "farm.html.j2",
        farm=read,
        agent=agent,
        wanted=wanted,
        states=tuple(DeviceState),
        query=rendering.kept(agent=agent, state=wanted),
    )
