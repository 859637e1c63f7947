"""Jobs: the latest, one and how far it is, cancelling, retrying."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, Cursor, JobsWriter
from profiler_server.dashboard.views.jobs import job as job_view
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep, WorkSignalDep

router = APIRouter(prefix="/jobs")


@router.get("")
def list_jobs(
    request: Request,
    database: DatabaseDep,
    _: Anyone,
    cursor: Cursor = None,
) -> Response:
    """Jobs, newest first."""
    with database.read() as session:
        jobs = job_view.latest(session, cursor)
    return rendering.page(request, "jobs.html.j2", jobs=jobs, live=rendering.kept(cursor=cursor))


@router.get("/{job_id}")
def show_job(
    request: Request,
    job_id: str,
    database: DatabaseDep,
    _: Anyone,
    cursor: Cursor = None,
) -> Response:
    """One job, how far it is, and what happened to it."""
    with database.read() as session:
        shown = job_view.read(session, job_id, cursor)
    return rendering.page(request, "job.html.j2", shown=shown)


@router.post("/{job_id}/cancel")
def cancel_job(
    request: Request, job_id: str, database: DatabaseDep, viewer: JobsWriter
) -> Response:
    """Cancels a job of the viewer's own; what is stored stays."""
    with database.write() as session:
        service.cancel(session, job_id, viewer.principal)
    return to_job(request, job_id)


@router.post("/{job_id}/retry")
def retry_job(
    request: Request, job_id: str, database: DatabaseDep, signal: WorkSignalDep, viewer: JobsWriter
) -> Response:
    """Returns the failed tasks of a job of the viewer's own to the queue."""
    with database.write() as session:
        service.retry(session, job_id, viewer.principal)
    signal.notify()
    return to_job(request, job_id)


def to_job(request: Request, job_id: str) -> Response:
    """Leads to the job's page."""
    address = f"{rendering.base_of(request)}/jobs/{rendering.segment(job_id)}"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)
