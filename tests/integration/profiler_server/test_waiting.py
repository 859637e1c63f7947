"""Claims that wait, at one process and at two on one database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import cast

import pytest
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import text

from netspec.wire import Lease, LeaseRequest
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal
from profiler_server.leases import service
from profiler_server.leases.waiting import WaitingRoom
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read
from tests.waiting import wait_for

#: work is filed 0.3 s after a look, and a process looks by itself every 1.5 s at most
PROMPT_S = 1.0
AGENTS = 12


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AGENTS) as made:
        yield made


def ask(api: Api, device: str, wait_s: float, max_tasks: int = 500) -> Lease | None:
    request = LeaseRequest(device_id=device, wait_s=wait_s, max_tasks=max_tasks)
    headers = {**api.headers, "Content-Type": "application/json"}
    answer = api.http.request(
        "POST", "/v1/leases", content=request.model_dump_json(), headers=headers
    )
    assert answer.status_code in (200, 204), answer.text
    return read(Lease, answer) if answer.status_code == 200 else None


def test_work_wakes_as_many_as_it_is_for(api: Api, pool: ThreadPoolExecutor) -> None:
    devices = [api.register(farm.registration(f"S{number}")).id for number in range(AGENTS)]
    waiting = [pool.submit(ask, api, device, 6.0, 2) for device in devices]
    time.sleep(1.0)
    start = time.monotonic()
    api.file(farm.job(farm.blocks(10)))
    leases = [lease for one in waiting if (lease := one.result(20)) is not None]
    assert sorted(len(lease.tasks) for lease in leases) == [2] * 5
    assert len({task.task_id for lease in leases for task in lease.tasks}) == 10
    assert time.monotonic() - start < 8.0


def test_other_targets_work_wakes_nobody(
    api: Api, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed: list[LeaseRequest] = []
    monkeypatch.setattr(service, "claim", lambda *asked, **_: claimed.append(asked[-1]))
    device = api.register(farm.registration()).id
    api.register(farm.registration("S2", "Pixel 2"))
    waiting = pool.submit(ask, api, device, 1.0)
    time.sleep(0.3)
    api.file(farm.job(farm.blocks(1), target_id=farm.identity("Pixel 2").id))
    assert waiting.result(10) is None
    assert claimed == []


def test_work_filed_at_one_replica_wakes_at_the_other(
    make_api: MakeApi, database: Database, pool: ThreadPoolExecutor
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite serves one process")
    here, there = make_api(), make_api()
    device = here.register(farm.registration()).id
    waiting = pool.submit(ask, here, device, 20.0)
    time.sleep(0.3)
    took = []
    for channels in (8, 16, 32):
        start = time.monotonic()
        there.file(farm.job(farm.blocks(1, channels=channels)))
        lease = waiting.result(10)
        took.append(time.monotonic() - start)
        assert lease is not None
        here.upload(farm.visits(lease, device, rounds=2))
        here.release(lease)
        waiting = pool.submit(ask, here, device, 20.0)
        time.sleep(0.3)
    there.file(farm.job(farm.blocks(1, channels=40)))
    assert waiting.result(10) is not None
    assert min(took) < PROMPT_S


def test_those_who_wait_outlive_a_break_of_the_database(
    make_api: MakeApi, database: Database, pool: ThreadPoolExecutor
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no connections that break")
    api = make_api()
    device = api.register(farm.registration()).id
    waiting = pool.submit(ask, api, device, 20.0)
    time.sleep(1.0)
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.read() as session:
        session.execute(others)
    filer = threading.Timer(0.5, lambda: api.file(farm.job(farm.blocks(1))))
    filer.start()
    assert waiting.result(20) is not None
    filer.join()


def test_a_retry_wakes_those_who_wait(make_api: MakeApi, pool: ThreadPoolExecutor) -> None:
    api = make_api(retry_backoff_s=1.0)
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(device)
    outcome = {"task_id": lease.tasks[0].task_id, "state": "failed", "reason": "crash"}
    body = {"fence": lease.fence, "outcomes": [outcome]}
    api.call("POST", f"/v1/leases/{lease.id}:release", body, status=204)
    assert ask(api, device, 0.0) is None
    again = pool.submit(ask, api, device, 15.0).result(20)
    assert again is not None
    assert [task.task_id for task in again.tasks] == [lease.tasks[0].task_id]


class _Caller:
    """Of a claim; never hangs up."""

    async def is_disconnected(self) -> bool:
        return False


def test_a_claim_that_comes_as_the_last_look_ends_is_looked_for(
    api: Api, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stops hearing other replicas when nobody waits, and that takes a moment."""
    device = api.register(farm.registration()).id
    signal = WorkSignal()
    room = WaitingRoom(database, settings, signal)

    async def claim(wait_s: float) -> Lease | None:
        caller = cast("Request", _Caller())
        return await room.claim(caller, LeaseRequest(device_id=device, wait_s=wait_s))

    async def go_home_and_come_back() -> Lease | None:
        ends, goes_on = asyncio.Event(), asyncio.Event()

        @asynccontextmanager
        async def hearing(_database: Database, _signal: WorkSignal) -> AsyncIterator[None]:
            yield
            ends.set()
            await goes_on.wait()

        monkeypatch.setattr("profiler_server.leases.waiting.hearing_notices", hearing)
        assert await claim(0.01) is None
        signal.notify()
        await asyncio.wait_for(ends.wait(), 10)
        late = asyncio.create_task(claim(10.0))
        await run_in_threadpool(wait_for, lambda: room._waiters)
        goes_on.set()
        await asyncio.sleep(0.3)
        await run_in_threadpool(api.file, farm.job(farm.blocks(1)))
        signal.notify()
        lease = await late
        await room.close()
        return lease

    assert asyncio.run(go_home_and_come_back()) is not None
