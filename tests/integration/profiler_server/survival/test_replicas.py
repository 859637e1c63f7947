"""Replicas that are killed or frozen while they serve the same clients."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from netspec.wire import Lease, LeaseRenewal, LeaseRequest, Visit
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read
from tests.integration.profiler_server.survival.clients import Persistent
from tests.integration.profiler_server.survival.conftest import Start
from tests.integration.profiler_server.survival.mortal import Mortal
from tests.integration.profiler_server.survival.stored import check_exactly_once, live_leases

AGENTS = 3
LEASE_TTL_S = 2.0
#: a device model that the agents at work do not measure on
FROZEN = "Pixel 9"
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


@dataclass
class AtWork:
    """Replicas, and agents that work at them."""

    #: may be replaced by others at the same addresses
    replicas: list[Mortal]
    #: visits that others than these agents had accepted
    others: list[Visit] = field(default_factory=list)


@contextmanager
def at_work(
    start: Start,
    database: Database,
    token: str,
    *,
    patience_s: tuple[float, float] = (40, 60),
    **settings: object,
) -> Iterator[AtWork]:
    """Agents that work within; in the end every visit that was accepted is there once.

    Args:
        start: starts a replica.
        database: in which everything must be in the end.
        token: of the agents.
        patience_s: after how long without an answer an agent asks the other replica, and gives up.
        settings: of the replicas.
    """
    work = AtWork([start(**settings) for _ in range(2)])
    urls = [one.url for one in work.replicas]
    with Persistent(urls, token) as client:
        devices = [
            client.send("POST", "/v1/devices", farm.registration(f"S{number}")).json()["id"]
            for number in range(AGENTS)
        ]
        client.send("POST", "/v1/jobs", farm.job(farm.blocks(40), rounds=1_000))
    over = threading.Event()

    def agent(device_id: str) -> tuple[list[Visit], Persistent]:
        accepted: list[Visit] = []
        with Persistent(urls, token, *patience_s) as own:
            while not over.is_set():
                accepted += own.work(device_id, max_tasks=10)
        return accepted, own

    with ThreadPoolExecutor(AGENTS) as pool:
        working = [pool.submit(agent, device_id) for device_id in devices]
        try:
            yield work
        finally:
            over.set()
        outcomes = [one.result() for one in working]
    for accepted, client in outcomes:
        assert len(accepted) > 10
        assert not client.strange
        assert set(client.statuses) <= {200, 204, 409, 503}
    accepted_by_all = [visit for accepted, _ in outcomes for visit in accepted]
    check_exactly_once(database, [*accepted_by_all, *work.others])


def survive(start: Start, database: Database, token: str, *, seconds: float, kills: float) -> None:
    """Agents work for so long while a replica is killed and started again every `kills` s."""
    chance = random.Random(0)  # noqa: S311 - no secret
    with at_work(start, database, token, lease_ttl_s=LEASE_TTL_S) as work:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(chance.uniform(0, 2 * kills))
            victim = chance.randrange(len(work.replicas))
            work.replicas[victim].kill()
            port = work.replicas[victim].port
            work.replicas[victim] = start(port=port, lease_ttl_s=LEASE_TTL_S)


def test_killed_at_random(start: Start, database: Database, token: str) -> None:
    survive(start, database, token, seconds=5, kills=0.5)


@pytest.mark.nightly
def test_killed_at_random_for_minutes(start: Start, database: Database, token: str) -> None:
    survive(start, database, token, seconds=180, kills=0.4)


def freeze(
    first: Mortal, second: Mortal, http: httpx2.Client, token: str, *, seconds: float
) -> list[Visit]:
    """The first replica is stopped for so long, at least until its agent's lease has expired.

    The other one goes on; what the first one still had to do does no harm afterwards.

    Returns:
        The visits that were accepted.
    """
    api = at(first.url, http, token)
    devices = [api.register(farm.registration(f"F{number}", FROZEN)).id for number in range(2)]
    job = api.file(farm.job(farm.blocks(3), rounds=1, target_id=farm.identity(FROZEN).id))
    old = api.claim(devices[0])
    late = farm.visits(old, devices[0], rounds=1)
    first.send(signal.SIGSTOP)
    first.stops()
    until = time.monotonic() + seconds
    with (
        ThreadPoolExecutor(1) as pool,
        httpx2.Client(base_url=first.url, timeout=seconds + 60) as waiting,
    ):
        uploading = pool.submit(Api(waiting, token).upload, late)
        other = at(second.url, http, token)
        new = claimed_in_the_end(other, devices[1])
        assert new.fence > old.fence
        assert {task.task_id for task in new.tasks} == {task.task_id for task in old.tasks}
        batch = farm.visits(new, devices[1], rounds=1)
        assert set(other.upload(batch)) == {"stored"}
        other.release(new)
        time.sleep(max(0.0, until - time.monotonic()))
        assert not uploading.done()
        first.send(signal.SIGCONT)
        # A late visit is a true one.
        assert set(uploading.result()) == {"stored"}
    api = at(first.url, http, token)
    renewal = LeaseRenewal(fence=old.fence)
    path = f"/v1/leases/{old.id}"
    api.problem("POST", f"{path}:renew", renewal, status=409, kind="lease-lost")
    assert api.job(job.id).state == "done"
    return [*late.visits, *batch.visits]


def test_frozen_for_longer_than_its_leases_live(
    start: Start, database: Database, token: str, http: httpx2.Client
) -> None:
    first, second = (start(lease_ttl_s=LEASE_TTL_S) for _ in range(2))
    accepted = freeze(first, second, http, token, seconds=0)
    assert live_leases(database) == 0
    check_exactly_once(database, accepted)


@pytest.mark.nightly
def test_frozen_for_five_minutes_at_work(
    start: Start, database: Database, token: str, http: httpx2.Client
) -> None:
    """With leases as long as they are; agents work at both replicas before, meanwhile and after."""
    with at_work(start, database, token, patience_s=(10, 120)) as work:
        time.sleep(5)
        first, second = work.replicas
        work.others += freeze(first, second, http, token, seconds=300)
        # What was asked of the first replica meanwhile has leased tasks for nobody.
        time.sleep(Settings.model_fields["lease_ttl_s"].default + 15)


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
    while True:
        answer = api.http.post(
            "/v1/leases",
            content=LeaseRequest(device_id=device_id, wait_s=20).model_dump_json(),
            headers={**api.headers, "Content-Type": "application/json"},
        )
        if answer.status_code != httpx2.codes.NO_CONTENT:
            return read(Lease, answer)
