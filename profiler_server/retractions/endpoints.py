"""Endpoints of retractions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from netspec.wire import Retraction, RetractionQuery, RetractionRequest
from profiler_server.auth.dependencies import Admin, TablesReader
from profiler_server.kit.dependencies import DatabaseDep, WorkSignalDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.retractions import service

router = APIRouter(prefix="/v1", tags=["measurements"], route_class=Route)


@router.post("/visits:retract")
def retract_visits(
    request: RetractionRequest, database: DatabaseDep, signal: WorkSignalDep, who: Admin
) -> Retraction:
    """Takes visits back: they stay, marked, and entries and snapshots are made without them."""
    with database.write() as session:
        retraction = service.retract(session, request, who.token_id)
    signal.notify()
    return retraction


@router.get("/retractions")
def list_retractions(
    query: Annotated[RetractionQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[Retraction]:
    """What was taken back, newest first."""
    with database.read() as session:
        return paging.answer(service.latest(session, query))
