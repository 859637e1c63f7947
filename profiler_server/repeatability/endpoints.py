"""The endpoint that tells how well a target's latencies repeat."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import TargetRepeatability
from profiler_server.auth.dependencies import TablesReader
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.repeatability import service

router = APIRouter(prefix="/v1", tags=["tables"], route_class=Route)


@router.get("/targets/{target_id}/repeatability")
def get_repeatability(
    target_id: str, database: DatabaseDep, _: TablesReader
) -> TargetRepeatability:
    """How far the latencies of consecutive jobs differ, of what several have measured."""
    with database.read() as session:
        return service.of_target(session, target_id)
