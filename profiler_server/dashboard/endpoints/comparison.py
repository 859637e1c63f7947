"""Targets side by side, and the targets for one network."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import TablesReader
from profiler_server.dashboard.views import comparison as comparison_view
from profiler_server.dashboard.views import ranking as ranking_view
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.latency_tables.dependencies import CalibrationOriginsDep

router = APIRouter()


def _once(target_ids: list[str]) -> list[str]:
    return list(dict.fromkeys(target_ids))


#: as the form's boxes send them
_Chosen = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]],
    Query(max_length=comparison_view.MOST_TARGETS),
    AfterValidator(_once),
]
#: as a form sends them; empty: any
_Words = Annotated[str, Query(max_length=200)]


@router.get("/comparison")
def show_comparison(
    request: Request,
    database: DatabaseDep,
    _: TablesReader,
    target: _Chosen = [],  # noqa: B006 - FastAPI copies it
    text: _Words = "",
) -> Response:
    """What targets have measured in common: phones, or versions of a runtime."""
    with database.read() as session:
        view = comparison_view.read(session, target, text.strip())
    return rendering.page(
        request,
        "comparison.html.j2",
        view=view,
        chosen=target,
        text=text.strip(),
        most=comparison_view.MOST_TARGETS,
    )


@router.get("/ranking")
def show_ranking(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    origins: CalibrationOriginsDep,
    _: TablesReader,
    network: Annotated[str, Query(pattern=r"^([0-9a-f]{64})?$")] = "",
    text: _Words = "",
) -> Response:
    """Which phone or runtime is best for a network."""
    with database.read() as session:
        view = ranking_view.read(session, settings, origins, network, text.strip())
    return rendering.page(request, "ranking.html.j2", view=view, network=network, text=text.strip())
