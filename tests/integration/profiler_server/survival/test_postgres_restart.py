"""PostgreSQL goes down and comes back while clients upload."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from netspec.wire import Lease, LeaseRequest, RegisteredDevice, Visit
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.postgres import CannotStart, Postgres, running
from tests.integration.profiler_server.survival.clients import Persistent
from tests.integration.profiler_server.survival.mortal import Mortal
from tests.integration.profiler_server.survival.stored import check_exactly_once

#: a commit reaches the kernel before it is answered: it outlives the server's processes
KEEPS_COMMITS = "-c fsync=off -c shared_buffers=16MB"
CLIENTS = 3
BATCH = 20


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """Not the one that other tests share."""
    try:
        with running(KEEPS_COMMITS) as server:
            yield server
    except CannotStart as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")


@pytest.fixture
def database_url(own_postgres: Postgres) -> Iterator[str]:
    with own_postgres.database() as url:
        yield url


def test_no_visit_is_lost_or_doubled_and_nothing_fails_but_for_a_while(
    own_postgres: Postgres, database: Database, settings: Settings, token: str
) -> None:
    with Mortal(settings) as first, Mortal(settings) as second:
        urls = [first.url, second.url]
        with Persistent(urls, token) as client:
            leases = [lease_of(client, number) for number in range(CLIENTS)]
        over = threading.Event()

        def upload(number: int) -> tuple[Persistent, list[Visit]]:
            accepted: list[Visit] = []
            with Persistent(urls, token) as client:
                while not over.is_set():
                    batch = farm.visits(leases[number][1], leases[number][0], rounds=1).visits
                    assert set(client.upload(batch)) <= {"stored", "duplicate"}
                    accepted += batch
            return client, accepted

        with ThreadPoolExecutor(CLIENTS) as pool:
            running_ = [pool.submit(upload, number) for number in range(CLIENTS)]
            try:
                for mode in ("fast", "immediate"):
                    time.sleep(1)
                    own_postgres.restart(mode)
                time.sleep(1)
            finally:
                over.set()
            outcomes = [one.result() for one in running_]
        with Persistent(urls, token) as client:
            assert client.send("GET", "/readyz").status_code == 200
    statuses = {status for one, _ in outcomes for status in one.statuses}
    assert statuses <= {200, 503}
    assert not [text for one, _ in outcomes for text in one.strange]
    check_exactly_once(database, [visit for _, accepted in outcomes for visit in accepted])


def test_without_a_database_every_answer_is_a_problem_that_passes(
    own_postgres: Postgres, settings: Settings, token: str
) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with Mortal(settings) as server, httpx2.Client(base_url=server.url, headers=headers) as client:
        client.get("/v1/devices").raise_for_status()
        with own_postgres.down():
            for method, path, body in (
                ("GET", "/readyz", None),
                ("GET", "/v1/devices", None),
                ("POST", "/v1/devices", farm.registration().model_dump_json()),
                ("POST", "/v1/leases", LeaseRequest(device_id="x", wait_s=1).model_dump_json()),
            ):
                answer = client.request(method, path, content=body)
                assert answer.status_code == 503, (path, answer.text)
                assert answer.json()["type"] == "/problems/database-unavailable"
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert int(answer.headers["Retry-After"]) > 0
            assert client.get("/healthz").status_code == 200
        client.get("/v1/devices").raise_for_status()


def lease_of(client: Persistent, number: int) -> tuple[str, Lease]:
    """A device of a model of its own, and its lease."""
    registration = farm.registration(f"S{number}", model=f"Pixel {number}")
    device = RegisteredDevice.model_validate_json(
        client.send("POST", "/v1/devices", registration).content
    )
    job = farm.job(farm.blocks(BATCH), rounds=1_000, target_id=device.target_ids[0])
    assert client.send("POST", "/v1/jobs", job).status_code == 201
    answer = client.send("POST", "/v1/leases", LeaseRequest(device_id=device.id))
    return device.id, Lease.model_validate_json(answer.content)
