"""Two targets side by side."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import TablesReader
from profiler_server.dashboard.views import comparison as comparison_view
from profiler_server.kit.dependencies import DatabaseDep

router = APIRouter(prefix="/comparison")

#: as a form sends it; empty before one is chosen
_TargetInForm = Annotated[str, Query(pattern=r"^\s*([0-9a-f]{16})?\s*$")]


@router.get("")
def show_comparison(
    request: Request,
    database: DatabaseDep,
    _: TablesReader,
    first: _TargetInForm = "",
    second: _TargetInForm = "",
) -> Response:
    """What two targets have both measured: two phones, or two versions of a runtime."""
    with database.read() as session:
        view = comparison_view.read(session, first.strip(), second.strip())
    return rendering.page(
        request, "comparison.html.j2", view=view, first=first.strip(), second=second.strip()
    )
