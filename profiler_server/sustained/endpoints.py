"""Endpoints of what runs without pause."""

from __future__ import annotations

from fastapi import APIRouter, Response

from netspec.wire import SustainedSpeed, WindowsUpload
from profiler_server.auth.dependencies import TablesReader
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.leases.outputs import LeasedOutputsDep
from profiler_server.sustained import service

router = APIRouter(prefix="/v1", tags=["sustained"], route_class=Route)


@router.put("/tasks/{task_id}/windows", status_code=204, max_body_size=2**20)
def put_windows(task_id: str, upload: WindowsUpload, leased: LeasedOutputsDep) -> Response:
    """Uploads what runs without pause were like; 201 if that is new, 204 if some was there."""
    return leased.put(upload.lease_id, lambda session: service.store(session, task_id, upload))


@router.get("/jobs/{job_id}/sustained")
def get_sustained(job_id: str, database: DatabaseDep, _: TablesReader) -> SustainedSpeed:
    """How fast a job's subject stays on its target when it runs without pause."""
    with database.read() as session:
        return service.speed(session, job_id)
