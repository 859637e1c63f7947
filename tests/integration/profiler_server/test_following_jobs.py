"""Jobs followed: progress that the database counts, and waiting for it, over several replicas."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
from sqlalchemy import func, select

from netspec.wire import Job, TaskOutcome
from profiler_server.jobs.rows import OPEN_STATES, JobTargetRow, TaskRow, TaskState
from profiler_server.jobs.watching import JobWatch
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from profiler_server.leases.retries import MOST_FAILURES
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

LONG_S = 20.0
SOON_S = 5.0


def counted(database: Database) -> dict[tuple[str, str], tuple[int, ...]]:
    """What the triggers have counted."""
    columns = [JobTargetRow.open_tasks, JobTargetRow.done_tasks, JobTargetRow.failed_tasks]
    columns += [JobTargetRow.cancelled_tasks, JobTargetRow.reused_tasks]
    columns += [JobTargetRow.open_visits, JobTargetRow.closed_visits]
    with database.read() as session:
        rows = session.execute(select(JobTargetRow.job_id, JobTargetRow.target_id, *columns))
        return {(job, target): tuple(counts) for job, target, *counts in rows}


def recounted(database: Database) -> dict[tuple[str, str], tuple[int, ...]]:
    """The same, from the tasks themselves."""
    found: dict[tuple[str, str], list[int]] = {}
    places = [TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED, TaskState.REUSED]
    with database.read() as session:
        groups = (TaskRow.job_id, TaskRow.target_id, TaskRow.state)
        rows = session.execute(
            select(*groups, func.count(), func.sum(TaskRow.visits_done)).group_by(*groups)
        )
        for job_id, target_id, state, tasks, visits in rows:
            counts = found.setdefault((job_id, target_id), [0] * 7)
            is_open = state in OPEN_STATES
            counts[0 if is_open else 1 + places.index(state)] += tasks
            if state is not TaskState.REUSED:
                counts[5 if is_open else 6] += visits
    return {key: tuple(counts) for key, counts in found.items()}


def test_the_counts_are_those_of_the_tasks_whatever_happens(
    make_api: MakeApi, database: Database
) -> None:
    api = make_api(retry_backoff_s=0)
    device = api.register(farm.registration()).id

    def check() -> None:
        assert counted(database) == recounted(database)

    first = api.file(farm.job(farm.blocks(4), rounds=2))
    other = api.file(farm.job(farm.blocks(6), rounds=3))
    check()
    lease = api.claim(device, max_tasks=3)
    check()
    api.upload(farm.visits(lease, device, rounds=1))
    check()
    api.upload(farm.visits(lease, device, rounds=2))
    check()
    for _ in range(MOST_FAILURES):
        lease = api.claim(device, max_tasks=2)
        failed = [
            TaskOutcome(task_id=task.task_id, state="failed", reason="hot") for task in lease.tasks
        ]
        api.release(lease, failed)
        check()
    assert api.job(first.id).tasks_failed + api.job(other.id).tasks_failed > 0
    failing = first.id if api.job(first.id).tasks_failed else other.id
    api.call("POST", f"/v1/jobs/{failing}:retry")
    check()
    reused = api.file(farm.job(farm.blocks(6), rounds=1))
    assert reused.reused > 0
    check()
    api.call("POST", "/v1/visits:retract", {"device_id": device, "reason": "x"})
    check()
    api.call("POST", f"/v1/jobs/{other.id}:cancel")
    check()
    lease = api.claim(device)
    schema.downgrade(database, "0023")
    schema.upgrade(database)
    check()
    api.call("POST", f"/v1/jobs/{first.id}:cancel")
    check()
    api.release(lease)
    if api.job(reused.id).state in ("queued", "running"):
        api.call("POST", f"/v1/jobs/{reused.id}:cancel")
    api.call("DELETE", f"/v1/jobs/{reused.id}", status=204)
    check()


def test_a_jobs_targets_keep_their_order(api: Api) -> None:
    models = ["Pixel 3", "Pixel 1", "Pixel 2"]
    for model in models:
        api.register(farm.registration(model, model))
    job = api.file(farm.job(farm.blocks(2), target_id=None, select={"delegate": "xnnpack"}))
    assert job.target_ids == tuple(farm.identity(model).id for model in models)


@contextmanager
def later(seconds: float, act: object) -> Iterator[None]:
    timer = threading.Timer(seconds, act)  # type: ignore[arg-type]
    timer.start()
    yield
    timer.join()


def waiting(
    api: Api, job_id: str, seconds: float, etag: str | None = None
) -> tuple[httpx2.Response, float]:
    start = time.monotonic()
    headers = {"If-None-Match": etag} if etag else {}
    answer = api.call("GET", f"/v1/jobs/{job_id}?wait={seconds}", headers=headers)
    return answer, time.monotonic() - start


def test_whoever_waits_is_answered_when_the_job_goes_on_at_another_replica(
    make_api: MakeApi,
) -> None:
    api, other = make_api(), make_api()
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    with later(0.3, lambda: other.claim(device)):
        answer, took = waiting(api, job.id, LONG_S)
    assert Job.model_validate_json(answer.content).state == "running"
    assert 0.2 < took < SOON_S
    lease = other.claim(device)
    with later(0.3, lambda: other.upload(farm.visits(lease, device, rounds=1))):
        answer, took = waiting(api, job.id, LONG_S)
    assert answer.json()["state"] == "done"
    assert 0.2 < took < SOON_S
    # What is over does not change.
    assert waiting(api, job.id, LONG_S)[1] < SOON_S


def test_a_change_between_two_questions_is_not_missed(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=2))
    seen = api.call("GET", f"/v1/jobs/{job.id}").headers["ETag"]
    unchanged = api.call("GET", f"/v1/jobs/{job.id}", headers={"If-None-Match": seen}, status=304)
    assert (unchanged.headers["ETag"], unchanged.content) == (seen, b"")
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    answer, took = waiting(api, job.id, LONG_S, seen)
    assert took < SOON_S
    assert answer.json()["visits_done"] == 2
    assert answer.headers["ETag"] != seen
    # Nothing happens: the answer is there when the time is over, with all that is known.
    answer, took = waiting(api, job.id, 0.7, answer.headers["ETag"])
    assert took >= 0.7
    assert answer.json()["visits_done"] == 2


def test_many_wait_by_one_look_at_a_time(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api()
    api.register(farm.registration())
    jobs = [api.file(farm.job(farm.blocks(1), rounds=1)).id for _ in range(12)]
    looks: list[int] = []
    of_all = JobWatch._numbers

    def counting(self: JobWatch, job_ids: set[str]) -> dict[str, str]:
        looks.append(len(job_ids))
        return of_all(self, job_ids)

    monkeypatch.setattr(JobWatch, "_numbers", counting)
    began = time.monotonic()
    with ThreadPoolExecutor(len(jobs)) as pool:
        waits = [pool.submit(waiting, api, job, LONG_S) for job in jobs]
        while not looks or looks[-1] < len(jobs):
            assert time.monotonic() - began < LONG_S
            time.sleep(0.05)
        api.call("POST", f"/v1/jobs/{jobs[0]}:cancel")
        assert waits[0].result()[0].json()["state"] == "cancelled"
        assert not any(wait.done() for wait in waits[1:])
        for job in jobs[1:]:
            api.call("POST", f"/v1/jobs/{job}:cancel")
        assert {wait.result()[0].json()["state"] for wait in waits} == {"cancelled"}
    assert len(looks) <= (time.monotonic() - began) / 0.5 + 2


def test_a_job_that_is_none_is_not_waited_for(api: Api) -> None:
    api.problem("GET", "/v1/jobs/job_x?wait=20", status=404, kind="unknown-job")
    detail = api.problem("GET", "/v1/jobs/job_x?wait=31", status=422, kind="invalid-request")
    assert "query.wait" in detail
