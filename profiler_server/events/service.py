"""Reading what happened."""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from netspec.wire import Event
from profiler_server.events import repository
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.sql.pages import Page, PageRequest


def list_events(
    session: Session,
    page_request: PageRequest,
    *,
    job_id: str | None = None,
    device_id: str | None = None,
    kind: EventKind | None = None,
    newest_first: bool = False,
) -> Page[Event]:
    """The events about a job, about a device and of a kind; None: of any.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    page = repository.events(
        session,
        job_id=job_id,
        device_id=device_id,
        kind=kind,
        newest_first=newest_first,
        page_request=page_request,
    )
    return page.with_items([_event(row) for row in page.items])


def _event(row: EventRow) -> Event:
    return Event(
        id=row.id,
        at=row.at,
        kind=row.kind,
        job_id=row.job_id,
        device_id=row.device_id,
        data=json.loads(row.data),
    )
