"""A job of a hundred thousand tasks: filed, claimed, followed, cancelled and deleted in bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netspec.wire import DeviceRegistration, Job, JobRequest, TargetSelector
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

pytestmark = pytest.mark.nightly
TARGETS = 20
OPERATORS = 5_000


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    # Of this process, in which the server runs: a busy machine takes nothing of it.
    start = time.process_time()
    yield
    took = time.process_time() - start
    print(f"{what}: {took:.2f} s")  # noqa: T201 - for whoever asks how much it takes
    assert took < seconds, what


def registered(api: Api) -> list[str]:
    return [
        api.register(
            DeviceRegistration(
                agent="farm-1",
                serial=f"S{number}",
                targets=(farm.identity(f"Pixel {number}"),),
                protocol=farm.PROTOCOL,
                labels={"rack": "b3"},
            )
        ).id
        for number in range(TARGETS)
    ]


def test_it_is_filed_claimed_followed_and_deleted(api: Api) -> None:
    devices = registered(api)
    request = JobRequest(
        name="large",
        select=TargetSelector(labels={"rack": "b3"}),
        operators=farm.blocks(OPERATORS),
        rounds=1,
    )
    with within(60, "filed"):
        job = api.file(request)
    assert job.tasks == TARGETS * OPERATORS
    for device in devices[:5]:
        with within(3, "claimed"):
            lease = api.claim(device, max_tasks=500)
        assert len(lease.tasks) == 500
        with within(10, "uploaded"):
            assert set(api.upload(farm.visits(lease, device, rounds=1))) == {"stored"}
        with within(3, "released"):
            api.release(lease)
    with within(3, "followed"):
        followed = api.job(job.id)
    assert followed.tasks_done == 5 * 500
    with within(3, "listed"):
        (listed,) = api.call("GET", "/v1/jobs").json()
    assert Job.model_validate(listed) == followed.model_copy(update={"eta_s": listed["eta_s"]})
    with within(3, "entries"):
        page = api.call("GET", f"/v1/jobs/{job.id}/entries?limit=1000")
    assert len(page.json()) == 500
    with within(30, "cancelled"):
        api.call("POST", f"/v1/jobs/{job.id}:cancel")
    with within(30, "deleted"):
        api.call("DELETE", f"/v1/jobs/{job.id}", status=204)
    # What was measured is there for the next one.
    again = farm.job(farm.blocks(500), target_id=farm.identity("Pixel 0").id, rounds=1)
    assert api.file(again).reused == 500
