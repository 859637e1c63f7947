"""Conditional requests (RFC 9110, section 13), and what a process keeps for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from fastapi import Request

#: for what is addressed by the hash of its content; only with the token, so not shared
IMMUTABLE = "private, max-age=31536000, immutable"
#: for what may be kept, but must be asked for again
REVALIDATE = "private, no-cache"

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def etag(content_id: str) -> str:
    """The strong ETag of a content hash."""
    return f'"{content_id}"'


def is_current(request: Request, content_id: str) -> bool:
    """Whether the client's `If-None-Match` names this content."""
    return named(request, (content_id,)) is not None


def named(request: Request, content_ids: Sequence[str]) -> str | None:
    """The first of the contents that the client's `If-None-Match` names."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    if "*" in tags:
        return content_ids[0]
    return next((one for one in content_ids if etag(one) in tags), None)


class BriefCache(Generic[Key, Value]):
    """Values that stay true for some seconds; forgets everything when it is full.

    Args:
        seconds: how long a value is taken for true.
        most: values kept.
        clock: seconds, monotonic.
    """

    def __init__(
        self, seconds: float, most: int = 10_000, clock: Callable[[], float] = monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._values: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """The value, None if there is none or it is too old."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] > self._clock() else None

    def put(self, key: Key, value: Value) -> None:
        """Keeps a value from now on."""
        if len(self._values) >= self._most:
            self._values = {}
        self._values[key] = (self._clock() + self._seconds, value)


class BytesCache(Generic[Key]):
    """Documents that never change, those used last, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._documents: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key) -> bytes | None:
        """The document."""
        with self._lock:
            document = self._documents.get(key)
            if document is not None:
                self._documents.move_to_end(key)
            return document

    def put(self, key: Key, document: bytes) -> None:
        """Keeps a document, unless it alone is over the limit."""
        if len(document) > self._most:
            return
        with self._lock:
            if key not in self._documents:
                self._bytes += len(document)
            self._documents[key] = document
            while self._bytes > self._most:
                _, dropped = self._documents.popitem(last=False)
                self._bytes -= len(dropped)
