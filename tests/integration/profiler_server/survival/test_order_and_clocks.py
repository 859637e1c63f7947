"""Uploads that come twice, in disorder or late, and clocks that are hours apart."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from netspec.wire import LeaseRenewal, Visit, VisitBatch
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.aging import age
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.survival.conftest import Start
from tests.integration.profiler_server.survival.mortal import Mortal
from tests.integration.profiler_server.survival.stored import check_exactly_once, live_leases

#: of a server as it stands
LEASE_TTL_S = 60.0


@pytest.fixture
def server(start: Start) -> Mortal:
    return start()


@pytest.fixture
def api(server: Mortal, token: str) -> Iterator[Api]:
    with httpx2.Client(base_url=server.url, timeout=40) as client:
        yield Api(client, token)


def shifted(visits: Sequence[Visit], clock: timedelta) -> list[Visit]:
    """As made by an agent whose clock is wrong by so much."""
    now = datetime.now(UTC) + clock
    return [visit.model_copy(update={"started_at": now}) for visit in visits]


def test_twice_in_disorder_and_at_once(
    server: Mortal, api: Api, token: str, database: Database
) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(10), rounds=8))
    lease = api.claim(device)
    visits = list(farm.visits(lease, device, rounds=8).visits)
    # Every visit in three batches of different neighbours, none in the order of its making.
    chance = random.Random(0)  # noqa: S311 - no secret
    batches = []
    for _ in range(3):
        chance.shuffle(visits)
        batches += [visits[start : start + 16] for start in range(0, len(visits), 16)]
    chance.shuffle(batches)

    def upload(batch: Sequence[Visit]) -> list[str]:
        with httpx2.Client(base_url=server.url, timeout=40) as client:
            return Api(client, token).upload(VisitBatch(visits=tuple(batch)))

    with ThreadPoolExecutor(3) as pool:
        states = [state for states in pool.map(upload, batches) for state in states]
    assert sorted(states) == ["duplicate"] * 160 + ["stored"] * 80
    assert api.job(job.id).state == "done"
    check_exactly_once(database, visits)


def test_late(api: Api, database: Database) -> None:
    """After the lease has expired, after another device is done, and after the cancellation."""
    slow, quick = (api.register(farm.registration(serial)).id for serial in ("S1", "S2"))
    job = api.file(farm.job(farm.blocks(4), rounds=1))
    lost = api.claim(slow)
    late = farm.visits(lost, slow, rounds=1).visits
    age(database, lost, LEASE_TTL_S)
    lease = api.claim(quick)
    batch = farm.visits(lease, quick, rounds=1)
    assert set(api.upload(batch)) == {"stored"}
    assert api.job(job.id).state == "done"
    assert set(api.upload(VisitBatch(visits=late[:2]))) == {"stored"}
    more = api.file(farm.job(farm.blocks(4), rounds=1, remeasure=True))
    api.call("POST", f"/v1/jobs/{more.id}:cancel")
    assert set(api.upload(VisitBatch(visits=late[2:]))) == {"stored"}
    assert api.job(more.id).state == "cancelled"
    check_exactly_once(database, [*late, *batch.visits])


@pytest.mark.parametrize("hours", [-9, 9])
def test_an_agent_whose_clock_is_wrong(api: Api, database: Database, hours: int) -> None:
    """Leases, renewals and the freshness of visits go by the database's clock."""
    device = api.register(farm.registration()).id
    wanted = farm.blocks(3)
    job = api.file(farm.job(wanted, rounds=2))
    lease = api.claim(device)
    visits = shifted(farm.visits(lease, device, rounds=2).visits, timedelta(hours=hours))
    for _ in range(3):
        age(database, lease, 0.8 * LEASE_TTL_S)
        renewal = LeaseRenewal(fence=lease.fence)
        api.call("POST", f"/v1/leases/{lease.id}:renew", renewal)
    assert set(api.upload(VisitBatch(visits=tuple(visits)))) == {"stored"}
    api.release(lease)
    followed = api.job(job.id)
    assert (followed.state, followed.visits_done) == ("done", 6)
    # Not measured again: the visits are fresh, whatever the agent believes.
    again = api.file(farm.job(wanted, rounds=2))
    assert (again.state, again.reused) == ("done", 3)
    # Measured again, all the same, where that is asked for.
    assert api.file(farm.job(wanted, rounds=2, remeasure=True)).visits_done == 0
    assert live_leases(database) == 0
    check_exactly_once(database, visits)
