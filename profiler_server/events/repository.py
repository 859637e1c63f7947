"""SQL of events."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.sql.pages import Page, PageRequest, read_page


def append(session: Session, at: datetime, kind: EventKind, **data: str | int) -> None:
    """Notes an event, in the transaction that makes it happen."""
    about = {name: data.get(name) for name in ("job_id", "device_id")}
    session.execute(insert(EventRow).values(at=at, kind=kind, data=json.dumps(data), **about))


def events(
    session: Session,
    *,
    job_id: str | None,
    device_id: str | None,
    kind: EventKind | None,
    newest_first: bool,
    page_request: PageRequest,
) -> Page[EventRow]:
    """The events about a job, about a device and of a kind; None: of any."""
    query = select(EventRow)
    if job_id is not None:
        query = query.where(EventRow.job_id == job_id)
    if device_id is not None:
        query = query.where(EventRow.device_id == device_id)
    if kind is not None:
        query = query.where(EventRow.kind == kind)
    page = read_page(session, query, (EventRow.id,), page_request, descending=newest_first)
    return page.with_items([row[0] for row in page.items])
