"""Endpoints of jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from netspec.wire import (
    MAX_WAIT_S,
    Entry,
    EntryQuery,
    FailureQuery,
    Job,
    JobQuery,
    JobRequest,
    TaskFailure,
)
from profiler_server.auth.dependencies import Anyone, JobsWriter, TablesReader
from profiler_server.idempotency.dependencies import IdempotencyKey, answered
from profiler_server.idempotency.service import once
from profiler_server.jobs import service
from profiler_server.jobs.repository import JobVersion
from profiler_server.jobs.watching import JobWatch
from profiler_server.kit.dependencies import (
    DatabaseDep,
    SettingsDep,
    WorkSignalDep,
    of_application,
)
from profiler_server.kit.http.caching import REVALIDATE, etag, is_current
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.pages import PagingDep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Route)

JobWatchDep = Annotated[JobWatch, of_application("job_watch")]


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
def list_jobs(
    query: Annotated[JobQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Anyone
) -> list[Job]:
    """Jobs, newest first."""
    with database.read() as session:
        return paging.answer(service.latest(session, query))


@router.get(
    "/{job_id}",
    response_model=Job,
    responses={304: {"description": "The client knows the job as it is"}},
)
async def get_job(
    job_id: str,
    request: Request,
    response: Response,
    database: DatabaseDep,
    watch: JobWatchDep,
    _: Anyone,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_S,
            description="Seconds to wait at most until its state or progress is another: than that "
            "of the ETag in `If-None-Match`, or than now; a job that is over is not waited for",
        ),
    ] = 0.0,
) -> Job | Response:
    """One job and how far it is."""
    version = await run_in_threadpool(_version, database, job_id)
    is_news = "If-None-Match" in request.headers and not is_current(request, version.number)
    if wait and not version.is_over and not is_news:
        await watch.changed(job_id, version.number, wait)
        version = await run_in_threadpool(_version, database, job_id)
    # Weak: the time left and the devices are no part of it.
    headers = {"ETag": f"W/{etag(version.number)}", "Cache-Control": REVALIDATE}
    # Who has waited gets to know of these, too.
    if not wait and is_current(request, version.number):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return await run_in_threadpool(_job, database, job_id)


def _version(database: Database, job_id: str) -> JobVersion:
    with database.read() as session:
        return service.version(session, job_id)


def _job(database: Database, job_id: str) -> Job:
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


@router.get("/{job_id}/failures")
def list_failures(
    job_id: str,
    query: Annotated[FailureQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: Anyone,
) -> list[TaskFailure]:
    """The job's tasks that were given up, in its order."""
    with database.read() as session:
        return paging.answer(service.failures_of(session, job_id, query))


@router.get("/{job_id}/entries")
def list_entries(
    job_id: str,
    query: Annotated[EntryQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[Entry]:
    """The entries of the job's subjects on one target, as far as there are any, by name."""
    with database.read() as session:
        return paging.answer(service.entries_of(session, job_id, query))
