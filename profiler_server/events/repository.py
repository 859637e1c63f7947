"""SQL of events."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from netspec.wire import EventQuery
from profiler_server.events import outbox
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.sql.lists import Listing, any_of, equal, since, until
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import Reach
from profiler_server.reach.conditions import of_events


def append(session: Session, at: datetime, kind: EventKind, **data: str | int) -> EventRow:
    """Notes an event and to whom it is to be sent, in the transaction that makes it happen."""
    about = {name: data.get(name) for name in ("job_id", "device_id")}
    event = EventRow(at=at, kind=kind, data=json.dumps(data), **about)
    session.add(event)
    session.flush()
    target_id = data.get("target_id")
    outbox.owe(session, event, None if target_id is None else str(target_id))
    return event


class EventsQuery(EventQuery):
    """The same, of kinds that there are."""

    kind: Annotated[
        tuple[EventKind, ...], Field(max_length=32, description="Of one of these; may be repeated")
    ] = ()


def events(session: Session, query: EventsQuery) -> Page[EventRow]:
    """The events that a query asks for."""
    page = _EVENTS.page(session, select(EventRow), query)
    return page.with_items([row[0] for row in page.items])


def after(
    session: Session, event_id: int, most: int, query: EventsQuery | None = None
) -> Sequence[EventRow]:
    """The first events after one, as far as a query asks for them."""
    rows = select(EventRow).where(EventRow.id > event_id)
    if query is not None:
        rows = _EVENTS.filtered(session, rows, query)
    return session.scalars(rows.order_by(EventRow.id).limit(most)).all()


def before(session: Session, at: datetime) -> int:
    """The last event before a time; 0: there is none."""
    return session.scalar(select(func.max(EventRow.id)).where(EventRow.at < at)) or 0


def is_seen(session: Session, event_id: int, reach: Reach) -> bool:
    """Whether an event is within a reach."""
    seen = select(EventRow.id).where(EventRow.id == event_id, _SEEN(reach))
    return session.scalar(seen) is not None


def with_ids(session: Session, ids: Collection[int]) -> Sequence[EventRow]:
    """Those of the ids that are events."""
    rows = select(EventRow).where(EventRow.id.in_(ids)).order_by(EventRow.id)
    return session.scalars(rows).all() if ids else ()


def latest_ids(session: Session, most: int) -> list[int]:
    """The ids of the latest events."""
    return list(session.scalars(select(EventRow.id).order_by(EventRow.id.desc()).limit(most)))


_SEEN = of_events(EventRow.job_id, EventRow.device_id, EventRow.data)
_EVENTS = Listing(
    EventsQuery,
    {
        "job_id": equal(EventRow.job_id),
        "device_id": equal(EventRow.device_id),
        "kind": any_of(EventRow.kind),
        "since": since(EventRow.at),
        "until": until(EventRow.at),
    },
    {"id": (EventRow.id,)},
    _SEEN,
)
