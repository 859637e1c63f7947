"""The client for scripts and notebooks, and the one for event loops: the same calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2

from netspec.client.blocking import finished
from netspec.client.calls import Calls
from netspec.client.http import ANSWER_S, AsyncProfilerHttp, ProfilerHttp
from netspec.client.offline import SavedSnapshot
from netspec.client.retries import RETRY_PAUSES_S
from netspec.client.snapshot_cache import SnapshotCache
from netspec.console.tokens import connection

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    call: Callable[Concatenate[Calls, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ProfilerClient, P], T]:
    @wraps(call)
    def run(self: ProfilerClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finished(call(self._calls, *args, **kwargs))

    return run


class AsyncProfilerClient(Calls):
    """`ProfilerClient` for an event loop: the same calls, each to be awaited."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
        timeout_s: float = ANSWER_S,
        cache: SnapshotCache | None = None,
        on_poll: Callable[[], None] = lambda: None,
    ) -> None:
        """Arguments as of `ProfilerClient`."""
        self._connection = AsyncProfilerHttp(
            *connection(url, token),
            transport=transport,
            retry_pauses_s=retry_pauses_s,
            timeout_s=timeout_s,
        )
        super().__init__(self._connection, cache or SnapshotCache(), on_poll)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()


class ProfilerClient:
    """Typed calls to one profiler, which block until the answer is there.

    Requests that are safe to repeat are, with growing pauses. Snapshots are kept on disk. Every
    call raises `netspec.errors.ProfilerUnreachable` when nobody answers and
    `netspec.errors.ProfilerRefused` when the profiler answers with a problem.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        retry_pauses_s: tuple[float, ...] = RETRY_PAUSES_S,
        timeout_s: float = ANSWER_S,
        cache: SnapshotCache | None = None,
        on_poll: Callable[[], None] = lambda: None,
    ) -> None:
        """A client, which connects at its first call.

        Args:
            url: of the profiler; None: `PROFILER_URL`, else this machine's.
            token: None: `PROFILER_TOKEN`, else the one that is stored for this server's address.
            transport: in place of a socket.
            retry_pauses_s: longest pauses between tries of a request that may be repeated.
            timeout_s: how long an answer may take; a connection at most 5 s of it.
            cache: of snapshots; None: in this user's cache folder.
            on_poll: called before each look at a job that is waited for; what it raises ends
                the wait.

        Raises:
            UserError: the URL is none, or there is no token.
        """
        self._connection = ProfilerHttp(
            *connection(url, token),
            transport=transport,
            retry_pauses_s=retry_pauses_s,
            timeout_s=timeout_s,
        )
        self._calls = Calls(self._connection, cache or SnapshotCache(), on_poll)

    @classmethod
    def of_file(cls, path: Path | str) -> Self:
        """A client of a saved snapshot, which asks nobody.

        It has one target and its table; any other call raises `Offline`.

        Raises:
            NoSnapshot: there is no such file, or it is no snapshot.
        """
        saved = SavedSnapshot(Path(path))
        return cls(saved.url, "none", transport=saved, cache=SnapshotCache(most_bytes=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    targets = _blocking(Calls.targets)
    target = _blocking(Calls.target)
    devices = _blocking(Calls.devices)
    latest_snapshot = _blocking(Calls.latest_snapshot)
    snapshot = _blocking(Calls.snapshot)
    table = _blocking(Calls.table)
    publish = _blocking(Calls.publish)
    latencies = _blocking(Calls.latencies)
    predict = _blocking(Calls.predict)
    entry = _blocking(Calls.entry)
    visits = _blocking(Calls.visits)
    events = _blocking(Calls.events)
    create_job = _blocking(Calls.create_job)
    jobs = _blocking(Calls.jobs)
    job = _blocking(Calls.job)
    cancel = _blocking(Calls.cancel)
    retry = _blocking(Calls.retry)
    wait = _blocking(Calls.wait)
    entries = _blocking(Calls.entries)
    upload_model = _blocking(Calls.upload_model)
