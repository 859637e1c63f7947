"""Jobs as they go on: what changes on their pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, Cursor
from profiler_server.dashboard.live.pages import Parts
from profiler_server.dashboard.live.streams import LivePagesDep, follow
from profiler_server.dashboard.views.jobs import job as job_view
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep

router = APIRouter(prefix="/jobs")

#: of a job's page: ids are `job-NAME`
_PARTS = ("actions", "progress", "log", "status")


def _exists(job_id: str, database: DatabaseDep) -> None:
    with database.read() as session:
        service.version(session, job_id)


@router.get("/live", response_class=EventSourceResponse)
async def follow_jobs(
    request: Request, pages: LivePagesDep, _: Anyone, cursor: Cursor = None
) -> AsyncIterator[ServerSentEvent]:
    """Changed rows of the list of jobs."""

    def read(session: Session) -> Parts:
        row = rendering.macro(request, "jobs_rows.html.j2", "job_row")
        latest = job_view.latest(session, cursor).items
        return Parts({}, {line.job.id: row(line) for line in latest})

    async for event in follow(request, pages, ("jobs", cursor, rendering.base_of(request)), read):
        yield event


@router.get(
    "/{job_id}/progress", response_class=EventSourceResponse, dependencies=[Depends(_exists)]
)
async def follow_job(
    request: Request, job_id: str, pages: LivePagesDep, viewer: Anyone
) -> AsyncIterator[ServerSentEvent]:
    """Changed parts of a job's page, until the job is finished."""

    def read(session: Session) -> Parts:
        shown = job_view.read(session, job_id)
        elements = {
            f"job-{name}": rendering.render(request, f"job_{name}.html.j2", shown=shown)
            for name in _PARTS
        }
        return Parts(elements, is_over=not shown.line.is_open)

    # What may be done, and the forms for that, are the viewer's own.
    key = ("job", job_id, rendering.base_of(request), viewer.session_id)
    async for event in follow(request, pages, key, read):
        yield event
