"""The stream of events, with real servers on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import httpx2
import pytest
import uvicorn
from sqlalchemy import insert, text

from netspec.client import ProfilerClient
from netspec.wire import Event, EventQuery
from profiler_server import serving
from profiler_server.app import create_app
from profiler_server.auth.scopes import Scope
from profiler_server.events import tail
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.monitoring import events as endpoint
from tests.integration.profiler_server.conftest import MakeApi

SOON_S = 60.0


class Served:
    """A server of this process on a port of its own."""

    def __init__(self, settings: Settings) -> None:
        self._socket = serving.listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.app = create_app(settings)
        config = uvicorn.Config(self.app, log_level="error", timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        # FastAPI makes its routes at the first request and keeps warnings back meanwhile, which is
        # no good in two threads at once.
        httpx2.get(f"{self.url}/nothing")
        return self

    def __exit__(self, *_: object) -> None:
        self.app.state.work_signal.close()
        self._server.should_exit = True
        self._thread.join(SOON_S)
        assert not self._thread.is_alive()


@pytest.fixture
def token(make_token: object) -> str:
    return str(make_token(Scope.TABLES_READ))  # type: ignore[operator]


def note(database: Database, job_id: str, kind: EventKind = EventKind.JOB_CREATED) -> None:
    with database.write() as session:
        row = {"at": database_now(session), "kind": kind, "data": "{}", "job_id": job_id}
        session.execute(insert(EventRow).values(**row))


@contextmanager
def collected(
    url: str, token: str, query: EventQuery | None = None, **more: int
) -> Iterator[list[str]]:
    """The jobs of the events that come, as they come."""
    found: list[str] = []

    def follow() -> None:
        with ProfilerClient(url, token) as client, suppress(Exception):
            found.extend(
                event.job_id or event.kind for event in client.follow_events(query, **more)
            )

    threading.Thread(target=follow, daemon=True).start()
    yield found


def wait_for(found: list[str], wanted: list[str]) -> None:
    until = time.monotonic() + SOON_S
    while found != wanted and time.monotonic() < until:
        time.sleep(0.02)
    assert found == wanted


def listening(served: Served, count: int) -> None:
    until = time.monotonic() + SOON_S
    while len(served.app.state.event_tail._listeners) != count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_events_come_in_order_to_all_who_ask_at_every_replica(
    settings: Settings, database: Database, token: str
) -> None:
    note(database, "before")
    with (
        Served(settings) as one,
        Served(settings) as other,
        collected(one.url, token) as everything,
        collected(other.url, token, EventQuery(kind=("job_cancelled",))) as cancelled,
        collected(other.url, token, EventQuery(job_id="b")) as of_job,
    ):
        listening(one, 1)
        listening(other, 2)
        for job in "abc":
            note(database, job)
        note(database, "c", EventKind.JOB_CANCELLED)
        wait_for(everything, ["a", "b", "c", "c"])
        wait_for(cancelled, ["c"])
        wait_for(of_job, ["b"])


def test_a_stream_begins_in_the_past_where_it_is_asked_to(
    settings: Settings, database: Database, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_AT_ONCE", 2)
    for job in "abcde":
        note(database, job)
    with Served(settings) as served, ProfilerClient(served.url, token) as client:
        listed = client.events(EventQuery(kind=("job_created",)))
        assert [event.job_id for event in listed] == list("abcde")
        with (
            collected(served.url, token, after=listed[1].id) as later,
            collected(served.url, token, EventQuery(since=listed[3].at)) as since,
            collected(
                served.url, token, EventQuery(kind=("job_created",)), after=0
            ) as all_of_a_kind,
        ):
            listening(served, 3)
            note(database, "f")
            wait_for(later, list("cdef"))
            wait_for(since, list("def"))
            wait_for(all_of_a_kind, list("abcdef"))
        first = next(client.follow_events(after=listed[-1].id))
        assert first.job_id == "f"


def test_ids_that_were_passed_over_come_later(
    settings: Settings, database: Database, token: str
) -> None:
    if database.is_sqlite:
        pytest.skip("one writer draws ids in their order")
    with Served(settings) as served, collected(served.url, token) as found:
        listening(served, 1)
        slow, quick = database.engine.connect(), database.engine.connect()
        with slow, quick:
            row = {"at": text("now()"), "kind": "job_created", "data": "{}"}
            slow.execute(insert(EventRow).values(**row, job_id="slow"))
            quick.execute(insert(EventRow).values(**row, job_id="quick"))
            quick.commit()
            wait_for(found, ["quick"])
            with httpx2.Client(base_url=served.url, timeout=SOON_S) as http:
                lines = raw_lines(http, token, after=0)
                while "quick" not in next(lines):
                    pass
                resume = int(next(lines).removeprefix("id: "))
            slow.commit()
            wait_for(found, ["quick", "slow"])
    # Whoever lost the connection before the slow one came would go on before it.
    with database.read() as session:
        slow_id = session.scalar(text("SELECT id FROM events WHERE job_id = 'slow'"))
    assert resume == slow_id - 1


def raw_lines(http: httpx2.Client, token: str, after: int) -> Iterator[str]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with http.stream("GET", "/v1/events", headers={**headers, "Last-Event-ID": str(after)}) as got:
        assert got.status_code == 200
        assert got.headers["Content-Type"].startswith("text/event-stream")
        assert got.headers["Cache-Control"] == "no-store"
        yield from got.iter_lines()


def test_signs_of_life_and_the_end_of_a_revoked_token(
    settings: Settings, database: Database, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_HEARTBEAT_S", 0.2)
    monkeypatch.setattr("profiler_server.auth.service.TRUSTED_S", 0.1)
    with Served(settings) as served, httpx2.Client(base_url=served.url, timeout=SOON_S) as http:
        lines = raw_lines(http, token, after=10**9)
        while next(lines) != ": still here":
            pass
        with database.write() as session:
            session.execute(text("UPDATE tokens SET revoked_at = created_at"))
        assert all(line in ("", ": still here") for line in lines)
        listening(served, 0)


def test_streams_and_their_queues_are_bounded(
    settings: Settings, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_MOST_STREAMS", 1)
    monkeypatch.setattr(tail, "_MOST_KEPT", 3)
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with Served(settings) as served, httpx2.Client(base_url=served.url, timeout=SOON_S) as http:
        lines = raw_lines(http, token, after=10**9)
        assert next(lines) == "retry: 2000"
        refused = http.get("/v1/events", headers=headers)
        assert refused.status_code == 429
        assert refused.json()["type"] == "/problems/too-many-streams"
        assert refused.headers["Retry-After"] == "10"
        (listener,) = served.app.state.event_tail._listeners
        event = Event.model_validate(
            {"id": 1, "at": "2026-01-02T03:04:05Z", "kind": "x", "job_id": None}
            | {"device_id": None, "data": {}}
        )
        for _ in range(10):
            listener.offer(tail.StreamItem(event, 1))
        assert listener.has_ended
        assert listener.queue.qsize() <= 4


def test_who_may_not_or_asks_for_what_a_stream_has_not(make_api: MakeApi) -> None:
    api = make_api()
    accept = {"Accept": "text/event-stream"}
    assert api.http.get("/v1/events", headers=accept).status_code == 401
    path = "/v1/events?sort=-id&limit=3"
    detail = api.problem("GET", path, status=422, kind="invalid-request", headers=accept)
    assert "a stream has no limit, sort" in detail
    wrong = {**accept, "Last-Event-ID": "x"}
    api.problem("GET", "/v1/events", status=422, kind="invalid-request", headers=wrong)


def test_a_server_that_stops_ends_its_streams(settings: Settings, token: str) -> None:
    with Served(settings) as served, httpx2.Client(base_url=served.url, timeout=SOON_S) as http:
        lines = raw_lines(http, token, after=10**9)
        assert next(lines) == "retry: 2000"
        began = time.monotonic()
        served.app.state.work_signal.close()
        assert [line for line in lines if line] == []
        assert time.monotonic() - began < SOON_S / 2
