"""Endpoint of visits."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import VisitBatch, VisitReceipts
from profiler_server.auth.dependencies import Agent
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.json_bodies import parsed_at_once
from profiler_server.measurements import service

router = APIRouter(prefix="/v1", tags=["measurements"], route_class=parsed_at_once(VisitBatch))


@router.post("/visits:batch")
def upload_visits(batch: VisitBatch, database: DatabaseDep, _: Agent) -> VisitReceipts:
    """Uploads spooled visits; may be repeated until the receipts arrive."""
    received = service.received(batch)
    with database.write() as session:
        return service.store(session, received)
