"""A profiler that answers what a test tells it, and both clients that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import httpx2

from netspec.client import AsyncProfilerClient, ProfilerClient, SnapshotCache

Kind = Literal["blocking", "async"]
KINDS: tuple[Kind, ...] = ("blocking", "async")
URL = "http://farm.example:8600"
NO_CACHE = SnapshotCache(most_bytes=0)

Answer = httpx2.Response | Exception


class Service:
    """Gives its answers in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A client uses an answer up.
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


def call(
    kind: Kind,
    handler: Callable[[httpx2.Request], httpx2.Response],
    name: str,
    *args: Any,
    cache: SnapshotCache = NO_CACHE,
    pauses_s: tuple[float, ...] = (0.0, 0.0),
    on_poll: Callable[[], None] = lambda: None,
    **named: Any,
) -> Any:
    """What the call of that name returns, through the client of that kind."""
    transport = httpx2.MockTransport(handler)
    if kind == "blocking":
        with ProfilerClient(
            URL, "t", transport=transport, retry_pauses_s=pauses_s, cache=cache, on_poll=on_poll
        ) as client:
            return getattr(client, name)(*args, **named)

    async def ask() -> Any:
        async with AsyncProfilerClient(
            URL, "t", transport=transport, retry_pauses_s=pauses_s, cache=cache, on_poll=on_poll
        ) as client:
            return await getattr(client, name)(*args, **named)

    return asyncio.run(ask())


def problem(status: int, kind: str, detail: str, **headers: str) -> httpx2.Response:
    return httpx2.Response(
        status,
        json={"type": f"/problems/{kind}", "detail": detail},
        headers={"Content-Type": "application/problem+json", **headers},
    )
