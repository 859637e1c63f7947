"""Bodies over a limit are refused, whether or not they say how long they are."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware; what the application reads of a body ends with an error at the limit.

    The framework's own answers in plain text.

    Args:
        app: what is limited.
        most_bytes: of a body.
        larger: of a body sent to a path that ends so.
    """

    def __init__(
        self, app: ASGIApp, most_bytes: int, larger: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._app = app
        self._most = most_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        received = 0
        allowed = (size for end, size in self._larger.items() if scope["path"].endswith(end))
        most = next(allowed, self._most)
        too_large = HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a body has at most {most} bytes; send it in parts, or have "
            "PROFILER_MAX_BODY_MB raised",
        )

        async def limited() -> Message:
            nonlocal received
            if _announced(scope) > most:
                raise too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise too_large
            return message

        await self._app(scope, limited, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
