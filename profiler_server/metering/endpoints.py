"""Endpoints of energy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from netspec.wire import EnergyEntry, EnergyQuery, EnergyUpload
from profiler_server.auth.dependencies import TablesReader
from profiler_server.devices.service import require_target
from profiler_server.energies import repository
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.leases.outputs import LeasedOutputsDep
from profiler_server.metering import service

router = APIRouter(prefix="/v1", tags=["energy"], route_class=Route)


@router.put("/tasks/{task_id}/energy", status_code=204, max_body_size=2**20)
def put_energy(task_id: str, upload: EnergyUpload, leased: LeasedOutputsDep) -> Response:
    """Uploads what windows of a task counted; 201 if it is new, 204 if some was there."""
    return leased.put(
        upload.lease_id,
        lambda session: service.store(session, task_id, upload, leased.who.token_id),
    )


@router.get("/targets/{target_id}/energy")
def list_energies(
    target_id: str,
    query: Annotated[EnergyQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[EnergyEntry]:
    """The energy of an inference of each subject that was measured on a target, by each meter."""
    with database.read() as session:
        require_target(session, target_id)
        return paging.answer(repository.of_target(session, target_id, query))
