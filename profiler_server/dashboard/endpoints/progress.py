"""A job's progress as it happens: server-sent events with the parts of its page that changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from profiler_server.dashboard import cookies, rendering
from profiler_server.dashboard.dependencies import Anyone, NotSignedIn, who
from profiler_server.dashboard.views import job as job_view
from profiler_server.dashboard.views.job import JobShown
from profiler_server.kit.dependencies import DatabaseDep, WorkSignalDep

router = APIRouter(prefix="/jobs")

_EVERY_S = 1.0
#: then the browser asks again, and perhaps another replica
_LONGEST_S = 300.0
_RETRY_MS = 2_000
#: ids of elements of the job's page, and the templates of what is in them
_PARTS = {
    "job-actions": "job_actions.html.j2",
    "job-progress": "job_progress.html.j2",
    "job-log": "job_log.html.j2",
    "job-status": "job_status.html.j2",
}


def _read(job_id: str, database: DatabaseDep) -> JobShown:
    with database.read() as session:
        return job_view.read(session, job_id)


@router.get("/{job_id}/progress", response_class=EventSourceResponse)
async def follow_job(
    request: Request,
    job_id: str,
    database: DatabaseDep,
    signal: WorkSignalDep,
    _: Anyone,
    # Before the answer begins: a job that does not exist is a problem, not an empty stream.
    first: Annotated[JobShown, Depends(_read)],
) -> AsyncIterator[ServerSentEvent]:
    """Changed parts of the page as `parts`, and `end` when the job is finished."""
    sent: dict[str, str] = {}
    shown, until = first, time.monotonic() + _LONGEST_S
    while not signal.closing:
        parts = {id_: rendering.render(request, name, shown=shown) for id_, name in _PARTS.items()}
        changed = {id_: part for id_, part in parts.items() if sent.get(id_) != part}
        if changed:
            yield ServerSentEvent(event="parts", data=changed, retry=_RETRY_MS)
        sent = parts
        if not shown.line.is_open:
            yield ServerSentEvent(event="end", data=shown.line.job.state)
            return
        if time.monotonic() > until:
            return
        await asyncio.sleep(_EVERY_S)
        if not await _still_signed_in(request):
            return
        shown = await run_in_threadpool(_read, job_id, database)


async def _still_signed_in(request: Request) -> bool:
    cookie = cookies.SESSION.read(request)
    try:
        return cookie is not None and bool(await who(request, cookie))
    except NotSignedIn:
        return False
