"""Live pages as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Hashable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.sse import ServerSentEvent

from profiler_server.dashboard import cookies
from profiler_server.dashboard.dependencies import NotSignedIn, who
from profiler_server.dashboard.live.pages import LivePages, ReadParts
from profiler_server.kit.dependencies import of_application
from profiler_server.kit.sql.reach import REACH

#: then the browser asks again, and perhaps another replica
_LONGEST_S = 300.0
_RETRY_MS = 2_000
#: how often (s) it is looked at whether the session still is
_LOOK_EVERY_S = 4.0


async def _with_room(pages: Annotated[LivePages, of_application("live_pages")]) -> LivePages:
    # Before the answer begins: that there are too many is a problem, not an empty stream.
    pages.require_room()
    return pages


LivePagesDep = Annotated[LivePages, Depends(_with_room)]


async def follow(
    request: Request, pages: LivePages, key: Hashable, read: ReadParts
) -> AsyncIterator[ServerSentEvent]:
    """Changed parts of a page as `parts`, and `end` when nothing will change any more.

    Args:
        request: of somebody who is signed in; the stream ends when that has ended.
        pages: with room for another viewer.
        key: the same for all to whom `read` gives the same.
        read: reads the page's parts.
    """
    until = time.monotonic() + _LONGEST_S
    looked_at = time.monotonic()
    async with pages.viewing(key, read, request.scope.get(REACH)) as viewer:
        while not pages.closing and time.monotonic() < until:
            change = await viewer.change(_LOOK_EVERY_S)
            if change is not None:
                yield ServerSentEvent(event="parts", raw_data=change, retry=_RETRY_MS)
            if viewer.is_over:
                yield ServerSentEvent(event="end", raw_data="{}")
                return
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                looked_at = time.monotonic()
                if not await _still_signed_in(request):
                    return


async def _still_signed_in(request: Request) -> bool:
    cookie = cookies.SESSION.read(request)
    try:
        return cookie is not None and bool(await who(request, cookie))
    except NotSignedIn:
        return False
