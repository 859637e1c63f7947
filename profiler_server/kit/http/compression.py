"""Answers are gzipped for clients that take it; the others pay nothing for it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

#: smaller answers (bytes) are sent as they are
_MINIMUM = 1_000
#: what is made for one request alone is compressed in its way: little, but fast
_LEVEL = 1
#: the strong ETags of uploaded files and of Parquet stand for their very bytes
_EXCLUDED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/octet-stream",
    "application/vnd.apache.parquet",
)


class Compression:
    """ASGI middleware; answers that are encoded already stay as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gzip = GZipMiddleware(app, _MINIMUM, _LEVEL, exclude_content_types=_EXCLUDED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"accept-encoding" and takes_gzip(value.decode("latin-1")):
                    await self._gzip(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` allows gzip."""
    for item in accept_encoding.split(","):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        if coding == "gzip":
            return quality(parameters) > 0
    return False


def quality(parameters: Sequence[str]) -> float:
    """The weight among the parameters of an item of an `Accept` header; 1 if there is none."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0
