"""Endpoint of the event log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from netspec.wire import Event
from profiler_server.auth.dependencies import Anyone
from profiler_server.events import service
from profiler_server.events.rows import EventKind
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=Route)


@router.get("")
def list_events(
    database: DatabaseDep,
    paging: PagingDep,
    _: Anyone,
    job_id: Annotated[str | None, Query(description="Only what is about this job")] = None,
    device_id: Annotated[str | None, Query(description="Only what is about this device")] = None,
    kind: Annotated[EventKind | None, Query(description="Only what is of this kind")] = None,
    newest_first: Annotated[bool, Query(description="Otherwise the oldest comes first")] = False,
) -> list[Event]:
    """What happened, in the order in which it was noted."""
    with database.read() as session:
        page = service.list_events(
            session,
            paging.page_request,
            job_id=job_id,
            device_id=device_id,
            kind=kind,
            newest_first=newest_first,
        )
    return paging.answer(page)
