"""A request to an ASGI application, without a server that reads ahead of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes
    #: bytes of the body that the application took
    taken: int

    @property
    def detail(self) -> str:
        return str(json.loads(self.content)["detail"])


def ask(
    app: ASGIApp,
    method: str,
    path: str,
    chunks: AsyncIterator[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    query: str = "",
    peer: str = "192.0.2.1",
) -> Answer:
    """The answer to a request whose body is these chunks; without, it must not be read."""
    sent: list[Message] = []
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        assert chunks is not None, "the body was read"
        chunk = await anext(chunks, b"")
        taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
        ],
        "client": (peer, 1),
        "server": ("testserver", 80),
    }

    async def answer() -> None:
        await app(scope, receive, send)

    asyncio.run(answer())
    start, *parts = sent
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(part.get("body", b"") for part in parts),
        taken,
    )


async def once(content: bytes) -> AsyncIterator[bytes]:
    """A body in one piece."""
    yield content
