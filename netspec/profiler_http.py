"""HTTP to the profiler, the same for agent and search client: auth, errors, retries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Self

import httpx2
from pydantic import BaseModel

from netspec.connection import TOKEN_VARIABLE, URL_VARIABLE
from netspec.errors import ProfilerRefused, ProfilerUnreachable

#: pauses (s) between tries of an idempotent request that got no answer
RETRY_PAUSES_S = (0.2, 0.8, 2.0)
_UNAVAILABLE = frozenset({502, 503, 504})


class ProfilerHttp:
    """A connection to one profiler.

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
    ) -> None:
        self.url = url.rstrip("/")
        self._retry_pauses_s = retry_pauses_s
        try:
            self._client = httpx2.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=httpx2.Timeout(60.0, connect=5.0),
                transport=transport,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ProfilerUnreachable(
                f"{url!r} is no URL: {error}; expected http://HOST:PORT"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def request(
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
            idempotent: whether the request may be sent again when no answer came;
                by default all but POST.

        Raises:
            ProfilerUnreachable: nobody answered.
            ProfilerRefused: the profiler answered with a problem.
        """
        sent = dict(headers or {})
        content: bytes | None = None
        if isinstance(body, BaseModel):
            content = body.model_dump_json().encode()
            sent["Content-Type"] = "application/json"
        elif body is not None:
            content = body
            sent["Content-Type"] = "application/octet-stream"
        may_repeat = method != "POST" if idempotent is None else idempotent
        pauses = list(self._retry_pauses_s) if may_repeat else []
        while True:
            try:
                answer = self._client.request(
                    method, path, content=content, headers=sent, params=params
                )
            except httpx2.HTTPError as error:
                if not pauses:
                    raise self._unreachable(error) from error
            except httpx2.InvalidURL as error:
                raise self._unreachable(error) from error
            else:
                if not (pauses and answer.status_code in _UNAVAILABLE):
                    return self._checked(answer)
            time.sleep(pauses.pop(0))

    def pages(self, path: str) -> Iterator[httpx2.Response]:
        """Every page of a list, each asked for when the one before was read.

        Raises:
            ProfilerUnreachable: nobody answered.
            ProfilerRefused: the profiler answered with a problem.
        """
        following: str | None = path
        while following is not None:
            answer = self.request("GET", following)
            yield answer
            following = answer.links.get("next", {}).get("url")

    def _unreachable(self, error: Exception) -> ProfilerUnreachable:
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
            detail = (
                f"the profiler at {self.url} refused the token: {detail}; set {TOKEN_VARIABLE} to "
                "a valid one (`profiler-server token create` prints one)"
            )
        raise ProfilerRefused(answer.status_code, kind, detail)
