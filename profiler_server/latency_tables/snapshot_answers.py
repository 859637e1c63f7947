"""Answers with a snapshot: the representation that is wanted, or that nothing has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastapi import Request, Response

from profiler_server.kit.http.caching import (
    IMMUTABLE,
    REVALIDATE,
    BriefCache,
    BytesCache,
    etag,
    named,
)
from profiler_server.latency_tables.representations import MEDIA_TYPES, Representation, wanted

#: for so long (s) a process does not hear of a snapshot that another one has published
LATEST_S = 1.0


class SnapshotAnswers:
    """What one process keeps of snapshots: rendered bytes, and which one is the latest."""

    def __init__(self, cache_bytes: int) -> None:
        self._rendered: BytesCache[tuple[str, Representation]] = BytesCache(cache_bytes)
        self._rendering = threading.Lock()
        #: ids of the latest snapshots by target
        self.latest: BriefCache[str, str] = BriefCache(LATEST_S)

    def unchanged(self, request: Request, snapshot_id: str, *, latest: bool) -> Response | None:
        """304 if the client has what it wants; never asks the database.

        Raises:
            Problem: `invalid-request` or `not-acceptable`.
        """
        if "If-None-Match" not in request.headers:
            return None
        tag = named(request, wanted(request).tags(snapshot_id))
        return None if tag is None else Response(status_code=304, headers=_headers(tag, latest))

    def of(
        self,
        request: Request,
        snapshot_id: str,
        load: Callable[[], str],
        *,
        latest: bool,
        status: int = 200,
    ) -> Response:
        """The snapshot as the client wants it.

        Args:
            request: says what is wanted.
            snapshot_id: of a snapshot that exists.
            load: gets its JSON.
            latest: whether the address stands for another snapshot later.
            status: of the answer.

        Raises:
            Problem: `invalid-request` or `not-acceptable`.
        """
        representation = wanted(request)
        headers = _headers(representation.tag(snapshot_id), latest)
        if representation.gzipped:
            headers["Content-Encoding"] = "gzip"
        content = self._content(snapshot_id, representation, load)
        return Response(content, status, headers, MEDIA_TYPES[representation.format])

    def _content(
        self, snapshot_id: str, representation: Representation, load: Callable[[], str]
    ) -> bytes:
        key = (snapshot_id, representation)
        content = self._rendered.get(key)
        if content is None:
            # One at a time: a large table in many hands would fill the memory.
            with self._rendering:
                content = self._rendered.get(key)
                if content is None:
                    content = representation.render(load())
                    self._rendered.put(key, content)
        return content


def _headers(tag: str, latest: bool) -> dict[str, str]:
    return {
        "ETag": etag(tag),
        "Cache-Control": REVALIDATE if latest else IMMUTABLE,
        "Vary": "Accept, Accept-Encoding",
    }
