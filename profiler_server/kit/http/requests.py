"""What every request gets: an id, a line in the log, a place in the metrics."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

log = structlog.get_logger()

#: a client may name the request; longer or stranger names are replaced
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ID_BYTES = 8
_REQUEST_ID = b"x-request-id"
_HEADERS = "profiler.headers"

#: method, route, status and seconds of an answered request
Observe = Callable[[str, str | None, int, float], None]


class Requests:
    """ASGI middleware around the whole application, its error handlers included."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        request_id = _request_id(scope["headers"])

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                # A number: the log shows an enumeration by its name.
                status = int(message["status"])
                message["headers"] = [
                    *message.get("headers", ()),
                    (_REQUEST_ID, request_id),
                    *scope.get(_HEADERS, ()),
                ]
            await send(message)

        with bound_contextvars(request_id=request_id.decode()):
            try:
                await self._app(scope, receive, watch)
            finally:
                seconds = time.perf_counter() - start
                self._observe(scope["method"], route_of(scope), status, seconds)
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round(seconds * 1000, 1),
                )


def add_headers(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Headers that the answer will have, whatever it is; the names in lower case."""
    scope.setdefault(_HEADERS, []).extend(headers)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == _REQUEST_ID and _GIVEN_ID.fullmatch(value):
            return value
    return secrets.token_hex(_ID_BYTES).encode()


def route_of(scope: Scope) -> str | None:
    """Return the template of the path that answers a request; None: no route has taken it."""
    route = scope.get("route")
    if route is None:
        return None
    # What is mounted knows its own part of the path only.
    root = scope.get("root_path", "")
    mounted_at = root.removeprefix(scope.get("app_root_path", root))
    return f"{mounted_at}{getattr(route, 'path_format', route.path)}"
