"""The endpoint that fills a target's table from another one's."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import Transfer, TransferRequest
from profiler_server.auth.dependencies import JobsWriter
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.http.routes import Route
from profiler_server.latency_tables.transfers import service

router = APIRouter(prefix="/v1", tags=["tables"], route_class=Route)


@router.post("/targets/{target_id}:transfer")
def transfer_entries(
    target_id: str,
    request: TransferRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    who: JobsWriter,
) -> Transfer:
    """Fills in what only another target has measured, if both agree; may be repeated at will."""
    with database.write() as session:
        done = service.carry_over(session, settings, target_id, request, who.token_id)
    if done.state == "measuring":
        signal.notify()
    return done
