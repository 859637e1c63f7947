"""Endpoints of jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from netspec.wire import Entry, Job, JobRequest
from profiler_server.auth.dependencies import Anyone, JobsWriter, TablesReader
from profiler_server.idempotency.dependencies import IdempotencyKey, answered
from profiler_server.idempotency.service import once
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Route)


@router.post("", status_code=201, response_model=Job, max_body_size=8 * 2**20)
def create_job(
    request: JobRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    who: JobsWriter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Files a job; with an `Idempotency-Key` it may be repeated for 24 hours."""
    with database.write() as session:
        answer = once(
            session,
            who.token_id,
            idempotency_key,
            request,
            lambda: service.create(session, settings, request, who.token_id),
        )
    signal.notify()
    return answered(answer, status=201)


@router.get("")
def list_jobs(database: DatabaseDep, paging: PagingDep, _: Anyone) -> list[Job]:
    """Jobs, newest first."""
    with database.read() as session:
        return paging.answer(service.latest(session, paging.page_request))


@router.get("/{job_id}")
def get_job(job_id: str, database: DatabaseDep, _: Anyone) -> Job:
    """One job and how far it is."""
    with database.read() as session:
        return service.get(session, job_id)


@router.post("/{job_id}:cancel")
def cancel_job(job_id: str, database: DatabaseDep, who: JobsWriter) -> Job:
    """Cancels a job of the token's own; what is stored stays."""
    with database.write() as session:
        return service.cancel(session, job_id, who)


@router.post("/{job_id}:retry")
def retry_job(job_id: str, database: DatabaseDep, signal: WorkSignalDep, who: JobsWriter) -> Job:
    """Returns the failed tasks of a job of the token's own to the queue, failures forgotten."""
    with database.write() as session:
        job = service.retry(session, job_id, who)
    signal.notify()
    return job


@router.get("/{job_id}/entries")
def list_entries(
    job_id: str,
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
    target_id: Annotated[
        str | None, Query(description="One of the job's targets; by default its first")
    ] = None,
) -> list[Entry]:
    """The entries of the job's subjects on one target, as far as there are any, by name."""
    with database.read() as session:
        return paging.answer(service.entries_of(session, job_id, target_id, paging.page_request))
