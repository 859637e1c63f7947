"""Endpoint of the event log, which is a list, or a stream for who asks for one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from netspec.wire import Event
from profiler_server.auth.dependencies import Anyone, Requires
from profiler_server.auth.scopes import Scope
from profiler_server.events import repository, service
from profiler_server.events.repository import EventsQuery
from profiler_server.events.tail import EventListener, EventTail, StreamItem
from profiler_server.kit.dependencies import DatabaseDep, of_application
from profiler_server.kit.http.routes import Route
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.pages import Page, PagingDep
from profiler_server.kit.sql.reach import REACH, Reach

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=Route)

EventTailDep = Annotated[EventTail, of_application("event_tail")]

_STREAM = "text/event-stream"
#: a sign of life (s), for proxies and for clients behind a lost connection; as often the token is
#: checked again
_HEARTBEAT_S = 15.0
#: a client whose stream ends comes back after so long
_RETRY_MS = 2_000
#: events that are read at once
_AT_ONCE = 500
_STILL_ANYONE = Requires(Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT)
_NO_FILTERS = {"limit", "cursor", "sort", "until"}


@router.get(
    "",
    response_model=list[Event],
    responses={200: {"content": {_STREAM: {"schema": {"type": "string"}}}}},
)
async def list_events(
    query: Annotated[EventsQuery, Query()],
    request: Request,
    database: DatabaseDep,
    paging: PagingDep,
    tail: EventTailDep,
    _: Anyone,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=2**63 - 1, description="Of a stream that broke: where to go on"),
    ] = None,
) -> list[Event] | Response:
    """What happened, in the order in which it was noted.

    With `Accept: text/event-stream` it is a stream of what happens from now on, from `since` on,
    or after `Last-Event-ID`.
    """
    if _STREAM in request.headers.get("Accept", ""):
        return await _stream(request, database, tail, query, last_event_id)
    return paging.answer(await run_in_threadpool(_page, database, query))


def _page(database: Database, query: EventsQuery) -> Page[Event]:
    with database.read() as session:
        return service.list_events(session, query)


async def _stream(
    request: Request,
    database: Database,
    tail: EventTail,
    query: EventsQuery,
    last_event_id: int | None,
) -> Response:
    if wrong := sorted(_NO_FILTERS & query.model_fields_set):
        raise Problem(
            "invalid-request",
            f"query: a stream has no {', '.join(wrong)}; it has kind, job_id, device_id and since",
        )
    async with AsyncExitStack() as stack:
        # Before the answer begins: that there are too many is a problem, not an empty stream.
        listener = await stack.enter_async_context(tail.listening())
        after = listener.since if last_event_id is None else last_event_id
        if query.since is not None and last_event_id is None:
            after = await run_in_threadpool(_before, database, query.since)
        sent = _sent(request, database, tail, listener, query, after)
        return _EventStream(sent, stack.pop_all())


class _EventStream(StreamingResponse):
    """An answer that leaves what it listens to, however it ends."""

    def __init__(self, sent: AsyncIterator[bytes], stack: AsyncExitStack) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(sent, headers=headers, media_type=_STREAM)
        self._stack = stack

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await super().__call__(scope, receive, send)


def _before(database: Database, at: datetime) -> int:
    with database.read() as session:
        return service.before(session, at)


async def _sent(
    request: Request,
    database: Database,
    tail: EventTail,
    listener: EventListener,
    query: EventsQuery,
    after: int,
) -> AsyncIterator[bytes]:
    """What goes over the wire: what was noted before the stream began, then what is noted."""
    yield format_sse_event(retry=_RETRY_MS)
    async for event in _between(database, query, after, listener.since):
        yield _written(StreamItem(event, tail.resume(event.id)))
    checked_at = time.monotonic()
    while True:
        try:
            noted = await listener.next(_HEARTBEAT_S)
        except TimeoutError:
            yield format_sse_event(comment="still here")
        else:
            if noted is None:
                return
            if service.is_meant(noted.event, query) and await _is_seen(request, database, noted):
                yield _written(noted)
        if time.monotonic() - checked_at >= _HEARTBEAT_S:
            checked_at = time.monotonic()
            if not await _is_still_valid(request):
                return


async def _is_seen(request: Request, database: Database, noted: StreamItem) -> bool:
    reach = cast("Reach | None", request.scope.get(REACH))
    if reach is None:
        return True

    def look() -> bool:
        with database.read() as session:
            return repository.is_seen(session, noted.event.id, reach)

    return await run_in_threadpool(look)


async def _between(
    database: Database, query: EventsQuery, after: int, until: int
) -> AsyncIterator[Event]:
    while after < until:
        found = await run_in_threadpool(_after, database, after, query)
        for event in found:
            if event.id <= until:
                yield event
        after = found[-1].id if len(found) == _AT_ONCE else until


def _after(database: Database, event_id: int, query: EventsQuery) -> list[Event]:
    with database.read() as session:
        return service.after(session, event_id, _AT_ONCE, query)


def _written(noted: StreamItem) -> bytes:
    event = noted.event
    return format_sse_event(
        data_str=event.model_dump_json(), event=event.kind, id=str(noted.resume)
    )


async def _is_still_valid(request: Request) -> bool:
    try:
        await _STILL_ANYONE(request)
    except Problem:
        return False
    return True
