"""Bodies over a limit are refused, whether or not they say how long they are."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from profiler_server.kit.problems import Problem


def bounded(scope: Scope, receive: Receive, most_bytes: int) -> Receive:
    """`receive` that raises a problem instead of more than so many bytes of a body.

    The problem is `body-too-large`, before anything is read where the length is announced, or
    `bad-request` where the body ends before it is complete.
    """
    received, complete = 0, False

    async def limited() -> Message:
        nonlocal received, complete
        if _announced(scope) > most_bytes:
            raise _too_large(most_bytes)
        message = await receive()
        if message["type"] == "http.disconnect" and not complete:
            raise Problem("bad-request", "the connection was closed before the body was complete")
        received += len(message.get("body", b""))
        complete = complete or not message.get("more_body", False)
        if received > most_bytes:
            raise _too_large(most_bytes)
        return message

    return limited


class BodyLimit:
    """ASGI middleware: `bounded` for every request.

    Args:
        app: what is limited.
        most_bytes: of a body.
        larger: of a body sent to a path that ends so.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._most = most_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] == "http":
            allowed = (size for end, size in self._larger.items() if scope["path"].endswith(end))
            receive = bounded(scope, receive, next(allowed, self._most))
        await self._app(scope, receive, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        "body-too-large", f"a body has at most {most_bytes} bytes at this address; send it in parts"
    )
