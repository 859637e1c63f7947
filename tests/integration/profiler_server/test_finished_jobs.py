"""Each time that a job is over, one event tells so, whoever closes its last task."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netspec.wire import Job, JobRequest, Lease, MadeWebhook, TaskOutcome, VisitBatch
from profiler_server.kit.sql.database import Database
from profiler_server.visits import service as visits
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.aging import age
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read


def finished(api: Api, job: Job) -> list[dict[str, Any]]:
    """What the events say of the ends of a job."""
    listed = api.call("GET", f"/v1/events?kind=job_finished&job_id={job.id}").json()
    return [
        {name: value for name, value in one["data"].items() if name != "job_id"} for one in listed
    ]


def outcome(state: str, done: int, failed: int = 0) -> dict[str, Any]:
    return {"state": state, "tasks_done": done, "tasks_failed": failed}


def measure(api: Api, device: str) -> Lease:
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    return lease


def test_a_job_is_over_with_the_visit_that_was_missing(api: Api) -> None:
    device = api.register(farm.registration()).id
    webhook = read(
        MadeWebhook,
        api.call(
            "POST",
            "/v1/webhooks",
            {"url": "https://receiver.invalid/hook", "kinds": ["job_finished"]},
            status=201,
        ),
    )
    job = api.file(farm.job(farm.blocks(3), rounds=1))
    lease = api.claim(device)
    batch = farm.visits(lease, device, rounds=1).visits
    api.upload(VisitBatch(visits=batch[:2]))
    assert finished(api, job) == []
    api.upload(VisitBatch(visits=batch))
    api.release(lease)
    api.upload(VisitBatch(visits=batch))
    assert finished(api, job) == [outcome("done", 3)]
    (owed,) = api.call("GET", f"/v1/webhooks/{webhook.webhook.id}/deliveries").json()
    assert owed["kind"] == "job_finished"
    # All that another one asks for is there: it is over as soon as it is filed.
    assert finished(api, api.file(farm.job(farm.blocks(2), rounds=1))) == [outcome("done", 2)]


def test_a_job_is_over_with_late_visits(api: Api, database: Database) -> None:
    first, second = (api.register(farm.registration(one)).id for one in ("S1", "S2"))
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    late = api.claim(first)
    age(database, late, 3_600)
    again = api.claim(second)
    assert api.upload(farm.visits(late, first, rounds=1)) == ["stored"] * 2
    assert finished(api, job) == [outcome("done", 2)]
    # What was measured twice closes nothing any more.
    assert api.upload(farm.visits(again, second, rounds=1)) == ["stored"] * 2
    api.release(again)
    assert finished(api, job) == [outcome("done", 2)]


def test_a_job_is_over_with_its_last_failure_and_once_more_after_a_retry(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    for _ in range(3):
        lease = api.claim(device)
        assert finished(api, job) == []
        api.release(
            lease, [TaskOutcome(task_id=one.task_id, state="failed") for one in lease.tasks]
        )
    assert finished(api, job) == [outcome("failed", 0, 2)]
    api.call("POST", f"/v1/jobs/{job.id}:retry")
    measure(api, device)
    assert finished(api, job) == [outcome("failed", 0, 2), outcome("done", 2)]


def test_a_job_is_over_when_it_is_cancelled_and_not_again(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    lease = api.claim(device)
    api.upload(VisitBatch(visits=farm.visits(lease, device, rounds=1).visits[:1]))
    for _ in range(2):
        api.call("POST", f"/v1/jobs/{job.id}:cancel")
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    assert finished(api, job) == [outcome("cancelled", 1)]
    over = api.file(farm.job(farm.blocks(1), rounds=1))
    api.problem("POST", f"/v1/jobs/{over.id}:cancel", status=409, kind="job-finished")
    assert finished(api, over) == [outcome("done", 1)]


@contextmanager
def meanwhile(work: Any) -> Iterator[None]:
    """Begins work that waits for the block's transaction, and sees it end after that."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive(), "it does not wait"
    yield
    thread.join(30)
    assert not thread.is_alive()
    assert not failures


@pytest.mark.parametrize("cancelled", [False, True])
def test_of_two_that_close_the_last_tasks_at_once_one_tells(
    api: Api, database: Database, *, cancelled: bool
) -> None:
    devices = [api.register(farm.registration(model, model)).id for model in ("Pixel 1", "Pixel 2")]
    wanted = {"operators": farm.blocks(1), "name": "both", "rounds": 1, "select": {}}
    job = api.file(JobRequest.model_validate(wanted))
    assert len(job.target_ids) == 2
    leases = [api.claim(device) for device in devices]
    first, second = (
        visits.received(farm.visits(lease, device, rounds=1))
        for lease, device in zip(leases, devices, strict=True)
    )

    def store_second() -> None:
        with database.write() as session:
            visits.store(session, second, "token_x")

    def cancel() -> None:
        api.call("POST", f"/v1/jobs/{job.id}:cancel")

    with database.write() as session:
        visits.store(session, first, "token_x")
        ending = meanwhile(cancel if cancelled else store_second)
        ending.__enter__()
    ending.__exit__(None, None, None)
    expected = outcome("cancelled", 1) if cancelled else outcome("done", 2)
    assert finished(api, job) == [expected]
