"""Jobs: the latest, one and how far it is, filing, cancelling, retrying."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from netspec.wire import MAX_PAGE, JobQuery, JobRequest, TargetQuery
from profiler_server.auth.service import Principal
from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, Cursor, JobsWriter
from profiler_server.dashboard.form_tokens import nonce
from profiler_server.dashboard.views import job as job_view
from profiler_server.dashboard.views import job_form
from profiler_server.devices import service as devices
from profiler_server.idempotency.service import once
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database

router = APIRouter(prefix="/jobs")
_JOBS_A_PAGE = 50


@router.get("")
def list_jobs(
    request: Request,
    database: DatabaseDep,
    _: Anyone,
    cursor: Cursor = None,
) -> Response:
    """Jobs, newest first."""
    with database.read() as session:
        jobs = service.latest(session, JobQuery(limit=_JOBS_A_PAGE, cursor=cursor))
        shown = job_view.lines(session, jobs.items)
    return rendering.page(request, "jobs.html.j2", jobs=shown, next_cursor=jobs.next_cursor)


@router.get("/new")
def show_form(
    request: Request,
    database: DatabaseDep,
    _: JobsWriter,
    target_id: Annotated[str, Query()] = "",
) -> Response:
    """The form that files a job, with a target chosen if the link names one."""
    return _form(request, database, {**job_form.DEFAULTS, "target_id": target_id})


@router.post("/new")
async def file_job(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    viewer: JobsWriter,
) -> Response:
    """Files a job; the same form again, sent twice by accident, files no second one."""
    form = await request.form()
    fields: dict[str, Any] = {name: str(form.get(name, "")) for name in job_form.DEFAULTS}
    fields["precisions"] = tuple(map(str, form.getlist("precisions")))
    try:
        job = job_form.request_of(fields)
        job_id = await run_in_threadpool(file, database, settings, viewer.principal, job, form)
    except Problem as problem:
        return await run_in_threadpool(_form, request, database, fields, problem)
    signal.notify()
    return to_job(request, job_id)


def file(
    database: Database, settings: Settings, who: Principal, job: JobRequest, form: FormData
) -> str:
    """Files a job for whoever is signed in, once for each form; its id."""
    with database.write() as session:
        answer = once(
            session,
            who.token_id,
            f"form-{form.get('request_id') or nonce()}",
            job,
            lambda: service.create(session, settings, job, who.token_id),
        )
    return str(json.loads(answer.document)["id"])


def form_page(
    request: Request, database: Database, template: str, problem: Problem | None, **values: Any
) -> Response:
    """A form with the targets to choose from, and what was wrong with it when it was sent."""
    with database.read() as session:
        targets = devices.list_targets(session, TargetQuery(limit=MAX_PAGE))
    return rendering.page(
        request,
        template,
        200 if problem is None else problem.status,
        targets=targets.items,
        request_id=nonce(),
        why="" if problem is None else problem.detail,
        **values,
    )


def _form(
    request: Request, database: Database, fields: dict[str, Any], problem: Problem | None = None
) -> Response:
    return form_page(request, database, "job_form.html.j2", problem, fields=fields)


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
