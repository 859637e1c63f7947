"""What changes on open pages: one reading serves all who look at the same.

A page's parts are read and rendered again and again by one task of the process, whatever the
number of viewers; each gets what has changed as JSON, which is made once, too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.reach import Reach
from profiler_server.kit.work_signal import WorkSignal

log = structlog.get_logger()

#: how often (s) pages are read again
_EVERY_S = 1.0
#: and for how long they rest, in terms of what a round took: at most a sixteenth of a core is spent
_REST = 15.0
#: open pages of this process
_MOST_VIEWERS = 200


@dataclass(frozen=True)
class Parts:
    """What changes on a page."""

    #: HTML by the id of the element that it is in
    elements: Mapping[str, str]
    #: HTML of rows of the page's live table by their ids, in their order
    rows: Mapping[str, str] = field(default_factory=dict)
    #: nothing will change any more
    is_over: bool = False

    def since(self, before: Parts) -> dict[str, Any]:
        """What a page that shows other parts has to change: nothing that it has."""
        changes: dict[str, Any] = {
            "elements": _new(self.elements, before.elements),
            "rows": _new(self.rows, before.rows),
        }
        changes = {name: change for name, change in changes.items() if change}
        if list(self.rows) != list(before.rows):
            changes["order"] = list(self.rows)
        return changes


def _new(now: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    return {name: html for name, html in now.items() if before.get(name) != html}


#: reads and renders a page's parts
ReadParts = Callable[[Session], Parts]
_NOTHING = Parts({})


@dataclass(eq=False)
class _LivePage:
    """A page that somebody looks at."""

    read: ReadParts
    #: of those who look at it
    database: Database
    viewers: set[Follower] = field(default_factory=set)
    parts: Parts = _NOTHING
    #: grows whenever the parts change; 0: they were not read yet
    number: int = 0
    #: JSON of what has changed since the parts before
    change: str = ""

    def take(self, parts: Parts) -> None:
        """Gives the viewers what has changed."""
        changes = parts.since(self.parts)
        if not changes and self.number and parts.is_over == self.parts.is_over:
            return
        self.number += 1
        self.parts, self.change = parts, json.dumps(changes)
        self.wake()

    def wake(self) -> None:
        """Has every viewer look."""
        for viewer in self.viewers:
            viewer.woken.set()


@dataclass(eq=False)
class Follower:
    """Somebody who looks at a page."""

    page: _LivePage
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    #: the parts that were sent last, and their number
    _sent: Parts = _NOTHING
    _number: int = 0

    async def change(self, within_s: float) -> str | None:
        """JSON of what has changed since it was asked for last; None: nothing within the time."""
        try:
            async with asyncio.timeout(within_s):
                await self.woken.wait()
        except TimeoutError:
            return None
        self.woken.clear()
        page, number = self.page, self._number
        if page.number == number:
            return None
        sent, self._sent, self._number = self._sent, page.parts, page.number
        return page.change if page.number == number + 1 else json.dumps(page.parts.since(sent))

    @property
    def is_over(self) -> bool:
        """Whether it has all that there will be."""
        return self._sent.is_over


class LivePages:
    """The pages of this process that somebody looks at."""

    def __init__(self, database: Database, signal: WorkSignal) -> None:
        self._database = database
        self._signal = signal
        self._pages: dict[Hashable, _LivePage] = {}
        self._reading: asyncio.Task[None] | None = None
        self._last_has_left = asyncio.Event()

    async def close(self) -> None:
        """Ends when the database is asked nothing any more: nobody looks, or the server stops."""
        if self._reading is not None and not self._reading.done():
            await asyncio.wait([self._reading])

    @property
    def closing(self) -> bool:
        """Whether the server is going down."""
        return self._signal.closing

    def require_room(self) -> None:
        """Refuses one viewer too many.

        Raises:
            Problem: `too-many-streams`.
        """
        if sum(len(page.viewers) for page in self._pages.values()) >= _MOST_VIEWERS:
            raise Problem(
                "too-many-streams",
                f"{_MOST_VIEWERS} live pages are open, as many as there may be; reload this one "
                "to see what has changed",
                headers={"Retry-After": "10"},
            )

    @asynccontextmanager
    async def viewing(
        self, key: Hashable, read: ReadParts, reach: Reach | None = None
    ) -> AsyncIterator[Follower]:
        """Somebody looks at a page.

        Args:
            key: the same for all to whom `read` gives the same.
            read: reads the page's parts; that of the first viewer serves the others, too.
            reach: what the viewer may see; None: everything.
        """
        key = (key, reach)
        seen = self._database.within(lambda: reach)
        page = self._pages.setdefault(key, _LivePage(read, seen))
        viewer = Follower(page)
        page.viewers.add(viewer)
        if page.number:
            viewer.woken.set()
        if self._reading is None or self._reading.done():
            self._last_has_left = asyncio.Event()
            # In no request's context: it is on behalf of all of them.
            self._reading = asyncio.create_task(self._read_while_anyone_looks(), context=Context())
        try:
            yield viewer
        finally:
            page.viewers.discard(viewer)
            if not page.viewers and self._pages.get(key) is page:
                del self._pages[key]
            if not self._pages:
                self._last_has_left.set()
                await self.close()

    async def _read_while_anyone_looks(self) -> None:
        while self._pages and not self._signal.closing:
            began = time.monotonic()
            for page in tuple(self._pages.values()):
                await self._read(page)
            took_s = time.monotonic() - began
            with suppress(TimeoutError):
                async with asyncio.timeout(max(_EVERY_S, _REST * took_s)):
                    await self._last_has_left.wait()
            self._last_has_left.clear()
        for page in self._pages.values():
            page.wake()

    async def _read(self, page: _LivePage) -> None:
        try:
            page.take(await run_in_threadpool(_parts, page))
        except Problem:
            # What the page is about was deleted; a reload says so.
            page.take(replace(page.parts, is_over=True))
        except SQLAlchemyError as error:
            # The database restarts; those who look need not know.
            log.warning("cannot read a live page", why=str(error))


def _parts(page: _LivePage) -> Parts:
    with page.database.read() as session:
        return page.read(session)
