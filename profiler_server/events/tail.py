"""Events as they are noted: one task of the process reads them for all who listen.

On PostgreSQL ids are drawn before they are seen: a transaction that has drawn a smaller one may end
later. Ids that were passed over are looked for until nobody can bring them any more, and a stream
that breaks goes on before the first of them. So no event is lost; some may come twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from netspec.wire import Event
from profiler_server.events import service
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal

log = structlog.get_logger()

#: how often (s) the log is looked at
_LOOK_EVERY_S = 0.5
#: streams of this process
_MOST_STREAMS = 200
#: events that a stream keeps for a client that reads slowly; with one more it ends, and the client
#: asks for what it has not seen
_MOST_KEPT = 1_000
#: events that are read at once
_AT_ONCE = 1_000
#: for so long (s) ids that were passed over are looked for: longer than a transaction takes
_LATE_S = 60.0
_MOST_MISSING = 10_000


@dataclass(frozen=True)
class StreamItem:
    """An event in a stream."""

    event: Event
    #: id after which the stream goes on when it breaks
    resume: int


@dataclass(eq=False)
class EventListener:
    """One stream."""

    #: the newest event when it began
    since: int = 0
    #: None ends it
    queue: asyncio.Queue[StreamItem | None] = field(default_factory=asyncio.Queue)
    has_ended: bool = False

    def offer(self, noted: StreamItem) -> None:
        """Gives it an event, or ends it where too many wait: what follows would hide a gap."""
        if self.queue.qsize() >= _MOST_KEPT:
            self.end()
        elif not self.has_ended:
            self.queue.put_nowait(noted)

    async def next(self, within_s: float) -> StreamItem | None:
        """The next event; None: the stream has ended.

        Raises:
            TimeoutError: there was none within so many seconds.
        """
        async with asyncio.timeout(within_s):
            return await self.queue.get()

    def end(self) -> None:
        """Ends it after what it has."""
        if not self.has_ended:
            self.has_ended = True
            self.queue.put_nowait(None)


class EventTail:
    """The streams of events of this process."""

    def __init__(self, database: Database, signal: WorkSignal) -> None:
        self._database = database
        self._signal = signal
        self._listeners: set[EventListener] = set()
        self._starting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        #: the greatest id that was read
        self._newest = 0
        #: smaller ones that were not there, and until when (s) they are looked for
        self._missing: dict[int, float] = {}

    async def close(self) -> None:
        """Ends when nothing is asked of the database any more; the signal is closed before."""
        if self._reading is not None:
            await self._reading

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[EventListener]:
        """A stream that gets what is noted from here on.

        Raises:
            Problem: `too-many-streams`.
        """
        if len(self._listeners) >= _MOST_STREAMS:
            raise Problem(
                "too-many-streams",
                f"{_MOST_STREAMS} streams are open here, as many as there may be; try again later",
                headers={"Retry-After": "10"},
            )
        listener = EventListener()
        self._listeners.add(listener)
        try:
            async with self._starting:
                if self._reading is None or self._reading.done():
                    await self._begin()
                    # In no request's context: it is on behalf of all of them.
                    self._reading = asyncio.create_task(
                        self._read_while_anyone_listens(), context=Context()
                    )
                listener.since = self._newest
            yield listener
        finally:
            self._listeners.discard(listener)

    def resume(self, event_id: int) -> int:
        """The id after which a stream goes on that has sent this event."""
        return min(event_id, min(self._missing, default=event_id + 1) - 1)

    async def _begin(self) -> None:
        self._missing = {}
        with_gaps = await run_in_threadpool(self._latest_ids)
        self._newest = max(with_gaps, default=0)
        self._look_for(range(min(with_gaps, default=0), self._newest), set(with_gaps))

    def _latest_ids(self) -> list[int]:
        with self._database.read() as session:
            return service.latest_ids(session, _AT_ONCE)

    async def _read_while_anyone_listens(self) -> None:
        while self._listeners and not self._signal.closing:
            await self._read_on()
            await asyncio.sleep(_LOOK_EVERY_S)
        for listener in self._listeners:
            listener.end()

    async def _read_on(self) -> None:
        try:
            found = await run_in_threadpool(self._read)
        except SQLAlchemyError as error:
            # The database restarts; the streams need not know.
            log.warning("cannot read events", why=str(error))
            return
        came = {event.id for event in found}
        greatest = max(came, default=self._newest)
        self._look_for(range(self._newest + 1, greatest), came)
        self._newest = max(self._newest, greatest)
        now = time.monotonic()
        self._missing = {
            id_: until for id_, until in self._missing.items() if id_ not in came and until > now
        }
        for event in found:
            noted = StreamItem(event, self.resume(event.id))
            for listener in self._listeners:
                listener.offer(noted)

    def _read(self) -> list[Event]:
        with self._database.read() as session:
            late = service.with_ids(session, self._missing)
            return [*late, *service.after(session, self._newest, _AT_ONCE)]

    def _look_for(self, ids: range, there: Iterable[int]) -> None:
        if self._database.is_sqlite:
            # Its one writer draws ids and makes them seen at once.
            return
        until, known = time.monotonic() + _LATE_S, set(there)
        self._missing |= {id_: until for id_ in ids[-_MOST_MISSING:] if id_ not in known}
