"""Endpoint of visits."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import VisitBatch, VisitReceipts
from profiler_server.auth.dependencies import Agent
from profiler_server.auth.ownership import DeviceGuardDep
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.json_bodies import parsed_at_once
from profiler_server.measurements import service

router = APIRouter(prefix="/v1", tags=["measurements"], route_class=parsed_at_once(VisitBatch))


@router.post("/visits:batch")
def upload_visits(
    batch: VisitBatch, database: DatabaseDep, guard: DeviceGuardDep, who: Agent
) -> VisitReceipts:
    """Uploads spooled visits; may be repeated until the receipts arrive."""
    guard.check_devices(who, {visit.device_id for visit in batch.visits})
    received = service.received(batch)
    with database.write() as session:
        return service.store(session, received)
