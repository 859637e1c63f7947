"""The farm: its agents and devices."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone

router = APIRouter()


@router.get("/")
def show_farm(request: Request, _: Anyone) -> Response:
    """Agents and devices."""
    return rendering.page(request, "farm.html.j2")
