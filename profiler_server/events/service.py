"""Reading what happened."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.wire import Event
from profiler_server.events import repository
from profiler_server.events.repository import EventsQuery
from profiler_server.events.rows import EventRow
from profiler_server.kit.sql.pages import Page


def list_events(session: Session, query: EventsQuery) -> Page[Event]:
    """The events that a query asks for, by default the oldest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.events(session, query)
    return page.with_items([to_wire(row) for row in page.items])


def after(
    session: Session, event_id: int, most: int, query: EventsQuery | None = None
) -> list[Event]:
    """The first events after one, oldest first, as far as a query asks for them."""
    return [to_wire(row) for row in repository.after(session, event_id, most, query)]


def before(session: Session, at: datetime) -> int:
    """The last event before a time; 0: there is none."""
    return repository.before(session, at)


def with_ids(session: Session, ids: Collection[int]) -> list[Event]:
    """Those of the ids that are events, oldest first."""
    return [to_wire(row) for row in repository.with_ids(session, ids)]


def latest_ids(session: Session, most: int) -> list[int]:
    """The ids of the latest events."""
    return repository.latest_ids(session, most)


def is_meant(event: Event, query: EventsQuery) -> bool:
    """Whether a query asks for an event that is noted now."""
    return (
        (not query.kind or event.kind in query.kind)
        and query.job_id in (None, event.job_id)
        and query.device_id in (None, event.device_id)
    )


def to_wire(row: EventRow) -> Event:
    """An event as it is sent."""
    return Event(
        id=row.id,
        at=row.at,
        kind=row.kind,
        job_id=row.job_id,
        device_id=row.device_id,
        data=json.loads(row.data),
    )
