"""Who is there: agents that wait for work are heard of as those that measure."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import select, update

from netspec.console.tokens import load_token
from netspec.wire import Device, LeaseRequest
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.service import Api, read
from tests.waiting import wait_for

RENEWED_EVERY_S = 0.5


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def silence(database: Database) -> datetime:
    """Lets every device be silent from now on; now."""
    with database.write() as session:
        now = database_now(session)
        session.execute(update(DeviceRow).values(heard_until=now))
    return now


def silent(api: Api) -> list[str]:
    return [one["serial"] for one in api.call("GET", "/v1/devices?state=silent").json()]


def test_an_agent_that_waits_for_work_is_heard_of_while_it_waits(
    make_api: MakeApi, database: Database, pool: ThreadPoolExecutor
) -> None:
    api = make_api(renew_every_s=RENEWED_EVERY_S)
    device = api.register(farm.registration("waits")).id
    api.register(farm.registration("gone"))
    began = silence(database)
    assert silent(api) == ["gone", "waits"]
    waiting = pool.submit(api.no_work, device, wait_s=6.0)
    wait_for(lambda: silent(api) == ["gone"])
    seen = read(Device, api.call("GET", f"/v1/devices/{device}")).last_seen
    assert seen > began
    # It goes on as long as the question is open.
    wait_for(lambda: read(Device, api.call("GET", f"/v1/devices/{device}")).last_seen > seen)
    waiting.result(20)
    wait_for(lambda: silent(api) == ["gone", "waits"], 20)


def test_an_agent_that_is_told_of_no_work_asks_again_within_a_minute(
    api: Api, database: Database
) -> None:
    device = api.register(farm.registration()).id
    silence(database)
    api.no_work(device)
    assert silent(api) == []
    with database.read() as session:
        now = database_now(session)
        until = session.execute(select(DeviceRow.heard_until)).scalar_one()
    assert until is not None
    assert timedelta(seconds=30) < until - now <= timedelta(minutes=1)


def test_a_renewal_is_a_sign_of_life_and_two_missed_ones_are_silence(make_api: MakeApi) -> None:
    api = make_api(renew_every_s=RENEWED_EVERY_S)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2)))
    lease = api.claim(device)
    assert (silent(api), api.job(job.id).unserved) == ([], ())
    time.sleep(2 * RENEWED_EVERY_S)
    assert silent(api) == ["S1"]
    assert api.job(job.id).unserved == (lease.target_id,)
    api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})
    assert (silent(api), api.job(job.id).unserved) == ([], ())


def test_a_device_is_silent_soon_after_its_waiting_agent_was_killed(tmp_path: Path) -> None:
    """The agent has no time to say so: its connection breaks while its question is open."""
    settings = {"PROFILER_RENEW_EVERY_S": f"{RENEWED_EVERY_S}"}
    with (
        Server(tmp_path / "data", variables=settings) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        token = load_token(server.url)
        api = Api(client, token)
        device = api.register(farm.registration()).id
        question = LeaseRequest(device_id=device, wait_s=30.0).model_dump_json().encode()
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            head = (
                f"POST /v1/leases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(question)}\r\n\r\n"
            )
            connection.sendall(head.encode() + question)
            registered = read(Device, api.call("GET", f"/v1/devices/{device}")).last_seen
            wait_for(
                lambda: (
                    read(Device, api.call("GET", f"/v1/devices/{device}")).last_seen > registered
                )
            )
        wait_for(lambda: silent(api) == ["S1"], 10.0)


def test_jobs_tell_when_they_began_and_ended(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    assert (job.started_at, job.ended_at) == (None, None)
    lease = api.claim(device)
    running = api.job(job.id)
    assert running.started_at is not None
    assert running.started_at >= running.created_at
    assert running.ended_at is None
    api.upload(farm.visits(lease, device, rounds=1))
    done = api.job(job.id)
    assert done.state == "done"
    assert done.ended_at is not None
    assert done.ended_at >= running.started_at
    # All of it has fresh visits: it ends as it is filed.
    again = api.file(farm.job(farm.blocks(2), rounds=1))
    assert (again.state, again.started_at) == ("done", None)
    assert again.ended_at is not None
    other = api.file(farm.job(farm.blocks(3, channels=48)))
    api.call("POST", f"/v1/jobs/{other.id}:cancel")
    assert api.job(other.id).ended_at is not None
