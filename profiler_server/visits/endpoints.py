"""Endpoints of visits, and of what entries are made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from netspec.wire import (
    DisagreementQuery,
    EntryDetail,
    StoredVisit,
    VisitBatch,
    VisitQuery,
    VisitReceipts,
)
from profiler_server.auth.dependencies import Agent, TablesReader
from profiler_server.auth.ownership import DeviceGuardDep
from profiler_server.entries import details
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.visits import service

router = APIRouter(prefix="/v1", tags=["measurements"], route_class=Route)

SubjectHash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="The content hash")]


@router.post("/visits:batch", max_body_size=16 * 2**20)
def upload_visits(
    batch: VisitBatch, database: DatabaseDep, guard: DeviceGuardDep, who: Agent
) -> VisitReceipts:
    """Uploads spooled visits; may be repeated until the receipts arrive."""
    guard.check_devices(who, {visit.device_id for visit in batch.visits})
    received = service.received(batch)
    with database.write() as session:
        return service.store(session, received, who.token_id)


@router.get("/targets/{target_id}/entries/{subject_hash}")
def get_entry(
    target_id: str, subject_hash: SubjectHash, database: DatabaseDep, _: TablesReader
) -> EntryDetail:
    """One entry with what each device says."""
    with database.read() as session:
        return details.detail(session, target_id, subject_hash)


@router.get("/targets/{target_id}/entries/{subject_hash}/visits")
def list_visits(
    target_id: str,
    subject_hash: SubjectHash,
    query: Annotated[VisitQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[StoredVisit]:
    """A subject's visits on a target, those that were left out too, in the order stored."""
    with database.read() as session:
        return paging.answer(details.visits(session, target_id, subject_hash, query))


@router.get("/targets/{target_id}/disagreement")
def list_disagreement(
    target_id: str,
    query: Annotated[DisagreementQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[EntryDetail]:
    """The entries that several devices have measured, with what each says, by name."""
    with database.read() as session:
        return paging.answer(details.disagreement(session, target_id, query))
