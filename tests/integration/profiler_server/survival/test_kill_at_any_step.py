"""The server dies by SIGKILL between any two statements of a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import httpx2
import pytest

from netspec.wire import Lease, TaskOutcome, Visit
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.survival.conftest import Start
from tests.integration.profiler_server.survival.stored import check_exactly_once, live_leases

#: a transaction of fewer steps would not be one that these tests are about
LEAST_STEPS = 5
#: longer than a server takes to start again; the next claim ends a lease whose answer was lost
LEASE_TTL_S = 60.0


class Victim:
    """A server that is killed and started again on the same port."""

    def __init__(self, start: Start, token: str) -> None:
        self._start = start
        self._server = start(lease_ttl_s=LEASE_TTL_S)
        self.http = httpx2.Client(base_url=self._server.url, timeout=40)
        self.api = Api(self.http, token)

    def dies(self, step: int, act: Callable[[], object]) -> bool:
        """Whether the server died at that step of the act; then another one runs."""
        self._server.light(step)
        try:
            act()
        except httpx2.TransportError:
            assert self._server.died()
        else:
            if self._server.put_out():
                return False
            assert self._server.died()
        self._server = self._start(port=self._server.port, lease_ttl_s=LEASE_TTL_S)
        return True


@pytest.fixture
def victim(start: Start, token: str) -> Iterator[Victim]:
    made = Victim(start, token)
    with made.http:
        yield made


@pytest.fixture
def device(victim: Victim) -> str:
    return victim.api.register(farm.registration()).id


def test_an_upload(victim: Victim, database: Database, device: str) -> None:
    job = victim.api.file(farm.job(farm.blocks(5), rounds=1_000))
    lease = victim.api.claim(device)
    accepted: list[Visit] = []
    outcomes: list[str] = []
    for step in count(1):
        batch = farm.visits(lease, device, rounds=1, ms={lease.tasks[0].subject.name: 1.0 + step})
        died = victim.dies(step, partial(victim.api.upload, batch))
        (state,) = set(victim.api.upload(batch))
        outcomes.append(state)
        accepted += batch.visits
        if not died:
            break
    # Killed before the commit, then after it; and at the end not killed, but repeated.
    assert outcomes == sorted(outcomes, reverse=True)
    assert outcomes[0] == "stored"
    assert outcomes[-2:] == ["duplicate", "duplicate"]
    assert len(outcomes) > LEAST_STEPS
    assert victim.api.job(job.id).visits_done == len(accepted)
    check_exactly_once(database, accepted)


def claim_into(leases: list[Lease], api: Api, device: str) -> None:
    leases.append(api.claim(device))


def test_a_claim(victim: Victim, database: Database, device: str) -> None:
    accepted: list[Visit] = []
    for step in count(1):
        job = victim.api.file(farm.job(farm.blocks(2, channels=8 * step), rounds=1))
        leases: list[Lease] = []
        died = victim.dies(step, partial(claim_into, leases, victim.api, device))
        assert live_leases(database) <= 1
        lease = leases[0] if leases else victim.api.claim(device, wait_s=10)
        assert len(lease.tasks) == 2
        assert live_leases(database) == 1
        batch = farm.visits(lease, device, rounds=1)
        assert set(victim.api.upload(batch)) == {"stored"}
        victim.api.release(lease)
        assert victim.api.job(job.id).state == "done"
        accepted += batch.visits
        if not died:
            break
    assert step > LEAST_STEPS
    assert live_leases(database) == 0
    check_exactly_once(database, accepted)


def test_a_release(victim: Victim, database: Database, device: str) -> None:
    """A failed task and one with its visits; the agent repeats until it is answered."""
    accepted: list[Visit] = []
    for step in count(1):
        job = victim.api.file(farm.job(farm.blocks(2, channels=8 * step), rounds=1))
        lease = victim.api.claim(device, wait_s=10)
        batch = farm.visits(lease, device, rounds=1)
        (visit, _) = batch.visits
        victim.api.upload(batch.model_copy(update={"visits": (visit,)}))
        outcomes = [TaskOutcome(task_id=lease.tasks[1].task_id, state="failed", reason="crash")]
        died = victim.dies(step, partial(victim.api.release, lease, outcomes))
        victim.api.release(lease, outcomes)
        assert live_leases(database) == 0
        # Counted once: at the third failure, the task would be given up.
        assert victim.api.job(job.id).tasks_failed == 0
        victim.api.call("POST", f"/v1/jobs/{job.id}:cancel")
        accepted.append(visit)
        if not died:
            break
    assert step > LEAST_STEPS
    check_exactly_once(database, accepted)
