from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from netspec.client import (
    AsyncProfilerClient,
    JobFailed,
    LatencyTable,
    NoSnapshot,
    NoTable,
    Offline,
    ProfilerClient,
    job_calls,
)
from netspec.client.calls import Calls
from netspec.console.connection import TOKEN_VARIABLE, URL_VARIABLE
from netspec.errors import ProfilerRefused, ProfilerUnreachable, UserError
from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, StemConv
from netspec.wire import EventQuery, Job, JobQuery, JobRequest, Target
from tests.unit.netspec.client.service import KINDS, Kind, Service, call, problem
from tests.unit.search_client.tables import IDENTITY, calibration, snapshot

STEM = StemConv(input_size=16, in_channels=3, out_channels=8, stride=2)
HEAD = HeadConv(input_size=8, in_channels=8, out_channels=16)
LAST = Classifier(input_size=8, in_channels=16, out_channels=10)
NETWORK = Network(name="three", operators=(STEM, HEAD, LAST))
SNAPSHOT = snapshot({STEM: 0.5, HEAD: 0.25, LAST: 0.125}, [calibration("float32", 1.2)])
TARGET = Target(id=IDENTITY.id, identity=IDENTITY, entries=3, devices=1)
REQUEST = JobRequest(name="one", target_id=IDENTITY.id, operators=(STEM,))

both = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_calls, "POLL_S", 0.0)


def job(state: str, **changed: Any) -> Job:
    known = {
        "id": "job_1",
        "name": "one",
        "target_id": IDENTITY.id,
        "state": state,
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "tasks": 1,
        "tasks_done": 0,
        "tasks_failed": 0,
        "reused": 0,
        "visits": 2,
        "visits_done": 0,
        "eta_s": None,
    }
    return Job.model_validate({**known, **changed})


def message(document: Any, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, text=document.model_dump_json())


def test_both_clients_have_the_same_calls() -> None:
    offered = {
        name
        for name, _ in inspect.getmembers(Calls, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert len(offered) >= 20
    for name in offered:
        blocking = getattr(ProfilerClient, name)
        assert inspect.signature(blocking) == inspect.signature(getattr(AsyncProfilerClient, name))
        assert blocking.__doc__


@both
def test_a_list_is_read_to_its_last_page(kind: Kind) -> None:
    first = httpx2.Response(
        200,
        text=f"[{TARGET.model_dump_json()}]",
        headers={"Link": '</v1/targets?limit=1000&cursor=abc>; rel="next"'},
    )
    other = TARGET.model_copy(update={"id": "f" * 16})
    service = Service(first, httpx2.Response(200, text=f"[{other.model_dump_json()}]"))
    assert call(kind, service, "targets") == [TARGET, other]
    assert [request.url.query for request in service.requests] == [
        b"limit=1000",
        b"limit=1000&cursor=abc",
    ]


@both
@pytest.mark.parametrize(
    "failure", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow"), httpx2.Response(503)]
)
def test_a_job_is_filed_again_under_the_same_key(
    kind: Kind, failure: httpx2.Response | Exception
) -> None:
    service = Service(failure, message(job("queued"), 201))
    assert call(kind, service, "create_job", REQUEST) == job("queued")
    first, second = (request.headers["Idempotency-Key"] for request in service.requests)
    assert first == second
    assert service.requests[0].content == service.requests[1].content
    call(kind, service, "create_job", REQUEST)
    assert service.requests[2].headers["Idempotency-Key"] != first


@both
def test_what_must_not_happen_twice_is_asked_for_once(kind: Kind) -> None:
    service = Service(httpx2.ConnectError("refused"))
    with pytest.raises(ProfilerUnreachable, match="no profiler answers"):
        call(kind, service, "retry", "job_1")
    assert service.asked == ["POST /v1/jobs/job_1:retry"]


@both
def test_questions_are_asked_again_although_they_are_posted(kind: Kind) -> None:
    answer = httpx2.Response(200, json={"target_id": IDENTITY.id, "latencies": []})
    service = Service(httpx2.Response(502), answer)
    found = call(kind, service, "latencies", IDENTITY.id, [STEM], allow_predicted=True)
    assert found.latencies == ()
    assert service.asked == ["POST /v1/latencies:lookup"] * 2
    assert service.requests[1].url.query == b"allow_predicted=true"


@both
def test_events_are_filtered_by_what_is_named(kind: Kind) -> None:
    service = Service(httpx2.Response(200, json=[]))
    assert call(kind, service, "events", EventQuery(job_id="job_1")) == []
    assert service.requests[0].url.query == b"limit=1000&job_id=job_1"


@both
def test_of_a_list_no_more_pages_are_read_than_are_wanted(kind: Kind) -> None:
    def page(*states: str) -> httpx2.Response:
        return httpx2.Response(
            200,
            text=f"[{','.join(job(state).model_dump_json() for state in states)}]",
            headers={"Link": '</v1/jobs?cursor=abc>; rel="next"'},
        )

    service = Service(page("running", "queued"), page("queued", "running"))
    query = JobQuery(state=("queued", "running"), name="a b", sort="name")
    found = call(kind, service, "jobs", query, most=3)
    assert [one.state for one in found] == ["running", "queued", "queued"]
    assert service.requests[0].url.query == (
        b"limit=3&sort=name&state=queued&state=running&name=a+b"
    )
    assert len(service.requests) == 2


@both
def test_a_job_is_waited_for(kind: Kind) -> None:
    service = Service(message(job("running", visits_done=1)), message(job("done", visits_done=2)))
    seen: list[Job] = []
    looked: list[int] = []
    ended = call(
        kind, service, "wait", job("queued"), seen.append, on_poll=lambda: looked.append(len(seen))
    )
    assert ended.state == "done"
    assert [one.visits_done for one in seen] == [1, 2]
    assert looked == [0, 1]


@both
def test_a_job_that_fails_says_why(kind: Kind) -> None:
    failed = job("failed", tasks_failed=1, failures=[{"subject": "stem", "reason": "no XNNPACK"}])
    with pytest.raises(JobFailed, match=r"ended failed with 1 of 1 .*; first: stem: no XNNPACK"):
        call(kind, Service(message(failed)), "wait", job("queued"))


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("answer", [message(job("cancelled")), problem(409, "job-finished", "x")])
def test_ctrl_c_cancels_the_job_unless_it_is_finished(answer: httpx2.Response) -> None:
    service = Service(answer)
    with pytest.raises(KeyboardInterrupt):
        call("blocking", service, "wait", job("queued"), on_poll=interrupt)
    assert service.asked == ["POST /v1/jobs/job_1:cancel"]


def test_a_cancelled_await_cancels_the_job() -> None:
    service = Service(message(job("running")))
    asked = asyncio.Event()

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.set()
        return service(request)

    async def waits() -> None:
        transport = httpx2.MockTransport(answer)
        async with AsyncProfilerClient("http://farm", "t", transport=transport) as client:
            waiting = asyncio.create_task(client.wait(job("queued")))
            await asked.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(waits())
    assert service.asked[-1] == "POST /v1/jobs/job_1:cancel"


@both
def test_a_target_without_table_says_what_to_do(kind: Kind) -> None:
    with pytest.raises(NoTable, match="`search-client profile`"):
        call(kind, Service(problem(404, "unknown-snapshot", "none")), "latest_snapshot", "0" * 16)
    with pytest.raises(NoTable, match=r"^none$"):
        call(kind, Service(problem(404, "unknown-snapshot", "none")), "snapshot", "0" * 64)
    with pytest.raises(ProfilerRefused, match="no target"):
        call(kind, Service(problem(404, "unknown-target", "no target")), "latest_snapshot", "0")


def test_url_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "http://lab:8600")
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-lab")
    service = Service(httpx2.Response(200, json=[]))
    with ProfilerClient(transport=httpx2.MockTransport(service)) as client:
        client.jobs()
    (request,) = service.requests
    assert str(request.url) == "http://lab:8600/v1/jobs?limit=1000"
    assert request.headers["Authorization"] == "Bearer of-the-lab"


def test_a_saved_snapshot_answers_for_its_table_and_for_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    LatencyTable(SNAPSHOT).save(path)
    with ProfilerClient.of_file(path) as client:
        found = client.target(IDENTITY.id[:4])
        assert (found.id, found.entries, found.devices) == (IDENTITY.id, 3, 0)
        assert client.latest_snapshot(found.id) == SNAPSHOT
        assert client.snapshot(SNAPSHOT.id) == SNAPSHOT
        assert client.table().predict_ms(NETWORK) == pytest.approx(1.2 * 0.875)
        with pytest.raises(Offline, match=r"table.json answers no POST /v1/jobs; .*--profiler-url"):
            client.create_job(REQUEST)
        with pytest.raises(Offline):
            client.latest_snapshot("0" * 16)


def test_a_table_is_read_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "table.json"
    LatencyTable(SNAPSHOT).save(path)
    table = LatencyTable.from_file(str(path))
    assert table.snapshot == SNAPSHOT
    assert table.predict_ms(NETWORK) == pytest.approx(1.2 * 0.875)


def test_files_that_are_no_snapshots(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshot, match=r"No such file.*`search-client snapshot` saves one"):
        LatencyTable.from_file(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NoSnapshot, match=r"other\.json is no snapshot: id: is missing"):
        ProfilerClient.of_file(tmp_path / "other.json")
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"):
        LatencyTable(SNAPSHOT).save(tmp_path)


def test_asking_for_a_latency_needs_no_torch() -> None:
    heavy = {"torch", "fastapi", "sqlalchemy", "matplotlib", "search_client", "ai_edge_litert"}
    program = f"import sys, netspec.client; print(sorted({heavy!r} & set(sys.modules)))"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == "[]\n"
