"""The client for scripts and notebooks, and the one for event loops: the same calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2

from netspec.client.blocking import finished, items
from netspec.client.http import ANSWER_S, AsyncProfilerHttp, ProfilerHttp
from netspec.client.offline import SavedSnapshot
from netspec.client.retries import RETRY_PAUSES_S
from netspec.client.snapshot_cache import SnapshotCache
from netspec.client.webhook_calls import WebhookCalls
from netspec.console.tokens import connection

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    call: Callable[Concatenate[WebhookCalls, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ProfilerClient, P], T]:
    @wraps(call)
    def run(self: ProfilerClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finished(call(self._calls, *args, **kwargs))

    return run


def _iterating(
    call: Callable[Concatenate[WebhookCalls, P], AsyncIterator[T]],
) -> Callable[Concatenate[ProfilerClient, P], Iterator[T]]:
    @wraps(call)
    def run(self: ProfilerClient, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return items(call(self._calls, *args, **kwargs))

    return run


class AsyncProfilerClient(WebhookCalls):
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
        self._calls = WebhookCalls(self._connection, cache or SnapshotCache(), on_poll)

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

    targets = _blocking(WebhookCalls.targets)
    target = _blocking(WebhookCalls.target)
    devices = _blocking(WebhookCalls.devices)
    find_device = _blocking(WebhookCalls.find_device)
    release = _blocking(WebhookCalls.release)
    latest_snapshot = _blocking(WebhookCalls.latest_snapshot)
    snapshot = _blocking(WebhookCalls.snapshot)
    table = _blocking(WebhookCalls.table)
    publish = _blocking(WebhookCalls.publish)
    latencies = _blocking(WebhookCalls.latencies)
    predict = _blocking(WebhookCalls.predict)
    entry = _blocking(WebhookCalls.entry)
    visits = _blocking(WebhookCalls.visits)
    repeatability = _blocking(WebhookCalls.repeatability)
    events = _blocking(WebhookCalls.events)
    follow_events = _iterating(WebhookCalls.follow_events)
    create_job = _blocking(WebhookCalls.create_job)
    jobs = _blocking(WebhookCalls.jobs)
    job = _blocking(WebhookCalls.job)
    find_job = _blocking(WebhookCalls.find_job)
    cancel = _blocking(WebhookCalls.cancel)
    retry = _blocking(WebhookCalls.retry)
    wait = _blocking(WebhookCalls.wait)
    entries = _blocking(WebhookCalls.entries)
    failures = _blocking(WebhookCalls.failures)
    sustained = _blocking(WebhookCalls.sustained)
    energies = _blocking(WebhookCalls.energies)
    upload_model = _blocking(WebhookCalls.upload_model)
    upload_images = _blocking(WebhookCalls.upload_images)
    evaluation = _blocking(WebhookCalls.evaluation)
    outputs = _blocking(WebhookCalls.outputs)
    logits = _blocking(WebhookCalls.logits)
    measure = _blocking(WebhookCalls.measure)
    model_pieces = _blocking(WebhookCalls.model_pieces)
    predict_model = _blocking(WebhookCalls.predict_model)
    create_webhook = _blocking(WebhookCalls.create_webhook)
    webhooks = _blocking(WebhookCalls.webhooks)
    find_webhook = _blocking(WebhookCalls.find_webhook)
    delete_webhook = _blocking(WebhookCalls.delete_webhook)
    rotate_webhook = _blocking(WebhookCalls.rotate_webhook)
    test_webhook = _blocking(WebhookCalls.test_webhook)
    enable_webhook = _blocking(WebhookCalls.enable_webhook)
    deliveries = _blocking(WebhookCalls.deliveries)
