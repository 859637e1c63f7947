"""HTTP to the profiler, the same for agent and search client: auth, errors, retries.

`Exchange` holds the rules; `ProfilerHttp` and `AsyncProfilerHttp` only move bytes and wait.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2
from pydantic import BaseModel

from netspec.client.blocking import finished
from netspec.client.retries import RETRY_PAUSES_S, is_passing, pause_s
from netspec.console.connection import TOKEN_VARIABLE, URL_VARIABLE
from netspec.errors import ProfilerRefused, ProfilerUnreachable

P = ParamSpec("P")
T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"
#: how long (s) an answer may take, and a connection
ANSWER_S, CONNECT_S = 60.0, 5.0
#: how long (s) nothing need come of an answer that does not end by itself
SILENT_S = 45.0
Client = TypeVar("Client", httpx2.Client, httpx2.AsyncClient)


class Exchange(ABC):
    """Requests to one profiler, and what becomes of them."""

    def __init__(self, url: str, retry_pauses_s: tuple[float, ...]) -> None:
        self.url = url.rstrip("/")
        self._retry_pauses_s = retry_pauses_s

    @abstractmethod
    async def _send(self, request: httpx2.Request) -> httpx2.Response: ...

    @abstractmethod
    def _lines(self, request: httpx2.Request) -> AsyncIterator[str]: ...

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Waits."""

    @abstractmethod
    def _build(self, method: str, path: str, **more: Any) -> httpx2.Request: ...

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> httpx2.Response:
        """The answer, once it is a success or 304.

        Args:
            method: HTTP method.
            path: path under the profiler's URL.
            body: a message, sent as JSON, or bytes as they are.
            headers: more headers.
            params: query parameters.
            idempotent: whether the request may be sent again when no answer came, or one that
                will pass; by default all but a POST without `Idempotency-Key`.

        Raises:
            ProfilerUnreachable: nobody answered.
            ProfilerRefused: the profiler answered with a problem.
        """
        sent = dict(headers or {})
        content = body
        if isinstance(body, BaseModel):
            content = body.model_dump_json().encode()
            sent["Content-Type"] = "application/json"
        elif body is not None:
            sent["Content-Type"] = "application/octet-stream"
        try:
            request = self._build(method, path, content=content, headers=sent, params=params)
        except httpx2.InvalidURL as error:
            raise self._unreachable(error) from error
        if _origin(request.url) != _origin(httpx2.URL(self.url)):
            raise self._unreachable(f"it names {request.url}, where its token must not go")
        may_repeat = method != "POST" or IDEMPOTENCY_KEY in sent
        may_repeat = may_repeat if idempotent is None else idempotent
        return self._checked(await self._tried(request, self._retry_pauses_s if may_repeat else ()))

    async def pages(self, path: str) -> AsyncIterator[httpx2.Response]:
        """Every page of a list, each asked for when the one before was read.

        Raises:
            ProfilerUnreachable: nobody answered.
            ProfilerRefused: the profiler answered with a problem.
        """
        following: str | None = path
        while following is not None:
            answer = await self.ask("GET", following)
            yield answer
            following = answer.links.get("next", {}).get("url")

    async def lines(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[str]:
        """The lines of an answer that does not end by itself, as they come.

        Raises:
            ProfilerUnreachable: nobody answered, or no more.
            ProfilerRefused: the profiler answered with a problem.
        """
        timeout = httpx2.Timeout(SILENT_S, connect=CONNECT_S)
        request = self._build("GET", path, headers=dict(headers), timeout=timeout)
        try:
            async for line in self._lines(request):
                yield line
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    async def _tried(self, request: httpx2.Request, pauses_s: tuple[float, ...]) -> httpx2.Response:
        for longest_s in pauses_s:
            answer = await self._answer_of(request)
            if answer is not None and not is_passing(answer):
                return answer
            await self.pause(pause_s(longest_s, answer))
        try:
            return await self._send(request)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    async def _answer_of(self, request: httpx2.Request) -> httpx2.Response | None:
        """None: nobody answered, this time."""
        try:
            return await self._send(request)
        except httpx2.UnsupportedProtocol as error:
            raise self._unreachable(error) from error
        except httpx2.HTTPError:
            return None

    def _unreachable(self, error: Exception | str) -> ProfilerUnreachable:
        return ProfilerUnreachable(
            f"no profiler answers at {self.url} ({error}); start one with `profiler-server serve`, "
            f"or name another with --profiler-url or {URL_VARIABLE}"
        )

    def _checked(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.is_success or answer.status_code == httpx2.codes.NOT_MODIFIED:
            return answer
        kind, detail = "unknown", f"{answer.status_code} {answer.reason_phrase}"
        if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
            problem = answer.json()
            kind = str(problem.get("type", "")).rsplit("/", 1)[-1]
            detail = str(problem.get("detail") or problem.get("title"))
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            # How to make a valid one is said once, with the variable that takes it.
            detail = detail.partition("; `profiler-server token create`")[0]
            detail = (
                f"the profiler at {self.url} refused the token: {detail}; set {TOKEN_VARIABLE} to "
                "a valid one (`profiler-server token create` prints one)"
            )
        raise ProfilerRefused(answer.status_code, kind, detail)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _client(kind: type[Client], url: str, token: str, transport: Any, timeout_s: float) -> Client:
    headers = {"Authorization": f"Bearer {token}"}
    timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    try:
        return kind(base_url=url, headers=headers, timeout=timeout, transport=transport)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ProfilerUnreachable(
            f"{url!r} is no URL: {error}; expected http://HOST:PORT"
        ) from error


def _blocking(
    call: Callable[Concatenate[Exchange, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ProfilerHttp, P], T]:
    @wraps(call)
    def run(self: ProfilerHttp, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finished(call(self, *args, **kwargs))

    return run


class ProfilerHttp(Exchange):
    """A connection to one profiler that blocks.

    The transport is injectable, so that tests run against the real application
    without a socket.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
        timeout_s: float = ANSWER_S,
    ) -> None:
        super().__init__(url, retry_pauses_s)
        self._client = _client(httpx2.Client, self.url, token, transport, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    request = _blocking(Exchange.ask)

    async def pause(self, seconds: float) -> None:  # noqa: D102 - as above
        time.sleep(seconds)  # noqa: ASYNC251 - nobody else waits

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        return self._client.send(request)

    async def _lines(self, request: httpx2.Request) -> AsyncIterator[str]:
        answer = self._client.send(request, stream=True)
        try:
            if not answer.is_success:
                answer.read()
                self._checked(answer)
            for line in answer.iter_lines():
                yield line
        finally:
            answer.close()

    def _build(self, method: str, path: str, **more: Any) -> httpx2.Request:
        return self._client.build_request(method, path, **more)


class AsyncProfilerHttp(Exchange):
    """A connection to one profiler, for an event loop."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
        timeout_s: float = ANSWER_S,
    ) -> None:
        super().__init__(url, retry_pauses_s)
        self._client = _client(httpx2.AsyncClient, self.url, token, transport, timeout_s)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def pause(self, seconds: float) -> None:  # noqa: D102 - as above
        await asyncio.sleep(seconds)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        return await self._client.send(request)

    async def _lines(self, request: httpx2.Request) -> AsyncIterator[str]:
        answer = await self._client.send(request, stream=True)
        try:
            if not answer.is_success:
                await answer.aread()
                self._checked(answer)
            async for line in answer.aiter_lines():
                yield line
        finally:
            await answer.aclose()

    def _build(self, method: str, path: str, **more: Any) -> httpx2.Request:
        return self._client.build_request(method, path, **more)
