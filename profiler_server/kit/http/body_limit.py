"""Bodies over a limit are refused, whether or not they say how long they are."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware; what the application reads of a body ends with an error at the limit.

    The framework's own answers in plain text.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        received = 0
        too_large = HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a body has at most {self._most} bytes; send it in parts, or have "
            "PROFILER_MAX_BODY_MB raised",
        )

        async def limited() -> Message:
            nonlocal received
            if _announced(scope) > self._most:
                raise too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most:
                raise too_large
            return message

        await self._app(scope, limited, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
