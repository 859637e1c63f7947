"""Replicas that are killed or frozen while they serve the same clients."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from netspec.wire import Lease, LeaseRenewal, Visit
from profiler_server.kit.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.survival.clients import Persistent
from tests.integration.profiler_server.survival.conftest import Start
from tests.integration.profiler_server.survival.stored import check_exactly_once, live_leases

AGENTS = 3
LEASE_TTL_S = 2.0
#: within an upload, after it has locked its target
STEP = 4


@pytest.fixture(autouse=True)
def _on_postgresql(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("an SQLite database is served by one process")


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=40) as client:
        yield client


def at(url: str, http: httpx2.Client, token: str) -> Api:
    http.base_url = httpx2.URL(url)
    return Api(http, token)


def survive(start: Start, database: Database, token: str, *, seconds: float, kills: float) -> None:
    """Agents work while a replica is killed and started again, again and again.

    Args:
        start: starts a replica.
        database: in which everything must be in the end.
        token: of the agents.
        seconds: how long.
        kills: s between two.
    """
    replicas = [start(lease_ttl_s=LEASE_TTL_S) for _ in range(2)]
    urls = [one.url for one in replicas]
    with Persistent(urls, token) as client:
        devices = [
            client.send("POST", "/v1/devices", farm.registration(f"S{number}")).json()["id"]
            for number in range(AGENTS)
        ]
        client.send("POST", "/v1/jobs", farm.job(farm.blocks(40), rounds=1_000))
    over = threading.Event()

    def agent(device_id: str) -> tuple[list[Visit], Persistent]:
        accepted: list[Visit] = []
        with Persistent(urls, token) as own:
            while not over.is_set():
                accepted += own.work(device_id, max_tasks=10)
        return accepted, own

    chance = random.Random(0)  # noqa: S311 - no secret
    with ThreadPoolExecutor(AGENTS) as pool:
        working = [pool.submit(agent, device_id) for device_id in devices]
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                time.sleep(chance.uniform(0, 2 * kills))
                victim = chance.randrange(len(replicas))
                replicas[victim].kill()
                replicas[victim] = start(port=replicas[victim].port, lease_ttl_s=LEASE_TTL_S)
        finally:
            over.set()
        outcomes = [one.result() for one in working]
    for accepted, client in outcomes:
        assert len(accepted) > 10
        assert not client.strange
        assert set(client.statuses) <= {200, 204, 409, 503}
    check_exactly_once(database, [visit for accepted, _ in outcomes for visit in accepted])


def test_killed_at_random(start: Start, database: Database, token: str) -> None:
    survive(start, database, token, seconds=5, kills=0.5)


@pytest.mark.nightly
def test_killed_at_random_for_minutes(start: Start, database: Database, token: str) -> None:
    survive(start, database, token, seconds=180, kills=0.4)


def test_frozen_for_longer_than_its_leases_live(
    start: Start, database: Database, token: str, http: httpx2.Client
) -> None:
    """The other replica goes on; what the first one still had to do does no harm afterwards."""
    first, second = (start(lease_ttl_s=LEASE_TTL_S) for _ in range(2))
    api = at(first.url, http, token)
    devices = [api.register(farm.registration(f"S{number}")).id for number in range(2)]
    job = api.file(farm.job(farm.blocks(3), rounds=1))
    old = api.claim(devices[0])
    late = farm.visits(old, devices[0], rounds=1)
    first.send(signal.SIGSTOP)
    first.stops()
    with ThreadPoolExecutor(1) as pool, httpx2.Client(base_url=first.url, timeout=60) as waiting:
        uploading = pool.submit(Api(waiting, token).upload, late)
        other = at(second.url, http, token)
        new = claimed_in_the_end(other, devices[1])
        assert new.fence > old.fence
        assert {task.task_id for task in new.tasks} == {task.task_id for task in old.tasks}
        batch = farm.visits(new, devices[1], rounds=1)
        assert set(other.upload(batch)) == {"stored"}
        assert not uploading.done()
        first.send(signal.SIGCONT)
        # A late visit is a true one.
        assert set(uploading.result()) == {"stored"}
    api = at(first.url, http, token)
    renewal = LeaseRenewal(fence=old.fence)
    path = f"/v1/leases/{old.id}"
    api.problem("POST", f"{path}:renew", renewal, status=409, kind="lease-lost")
    assert api.job(job.id).state == "done"
    api.release(new)
    assert live_leases(database) == 0
    check_exactly_once(database, [*late.visits, *batch.visits])


def test_frozen_within_a_transaction(start: Start, database: Database, token: str) -> None:
    """What it has locked becomes free, so that others need not wait for its return."""
    first = start(number=signal.SIGSTOP, lease_ttl_s=LEASE_TTL_S)
    second = start()
    with Persistent([first.url], token) as client:
        device = client.send("POST", "/v1/devices", farm.registration()).json()["id"]
        client.send("POST", "/v1/jobs", farm.job(farm.blocks(5), rounds=1_000))
        lease = Lease.model_validate_json(
            client.send("POST", "/v1/leases", farm.ask(device)).content
        )
    held, others = (farm.visits(lease, device, rounds=1).visits for _ in range(2))
    first.light(STEP)
    with ThreadPoolExecutor(1) as pool, Persistent([first.url], token) as own:
        uploading = pool.submit(own.upload, held)
        first.stops()
        with Persistent([second.url], token) as client:
            assert set(client.upload(others)) == {"stored"}
            assert set(client.statuses) == {200}
        assert not uploading.done()
        first.send(signal.SIGCONT)
        # PostgreSQL has given the transaction up: 503, and the client repeats.
        assert set(uploading.result()) == {"stored"}
        assert own.statuses == {503: 1, 200: 1}
    check_exactly_once(database, [*held, *others])


def claimed_in_the_end(api: Api, device_id: str) -> Lease:
    """A lease, as soon as the old one has expired."""
    return api.claim(device_id, wait_s=10 * LEASE_TTL_S)
