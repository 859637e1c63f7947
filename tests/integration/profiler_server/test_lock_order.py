"""Rows are locked in one order: whoever waits for the first holds none of the others.

PostgreSQL only: on SQLite a writing transaction has the database for itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Select, select, text, update

from netspec.wire import Lease, LeaseRequest, TaskOutcome
from profiler_server.jobs import service as jobs
from profiler_server.jobs.rows import JobRow, TaskRow, TaskState
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.leases import service
from profiler_server.leases.rows import LeaseRow
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

WAITING_S = 10.0
TASKS = 12


@pytest.fixture(autouse=True)
def _on_postgresql(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite locks the whole database")


@pytest.fixture
def device(api: Api) -> str:
    return api.register(farm.registration()).id


@pytest.fixture
def lease(api: Api, device: str) -> Lease:
    api.file(farm.job(farm.blocks(TASKS), rounds=1))
    return api.claim(device)


def check_order(database: Database, ordered: Select[str], act: Callable[[], object]) -> None:
    """Holds the first row, lets `act` wait for it, and checks that the others are free.

    Held as an UPDATE holds it: foreign keys may refer to the row meanwhile.
    """
    with ThreadPoolExecutor(1) as pool:
        with database.write() as holder:
            first, *others = holder.scalars(ordered)
            assert others
            holder.execute(locking(ordered, [first]).with_for_update(key_share=True))
            acting = pool.submit(act)
            wait_for_lock(database)
            with database.write() as other:
                free = locking(ordered, others).with_for_update(key_share=True, skip_locked=True)
                assert set(other.scalars(free)) == set(others)
        acting.result(WAITING_S)


def locking(ordered: Select[str], ids: list[str]) -> Select[str]:
    (column,) = ordered.selected_columns
    return ordered.where(column.in_(ids))


def wait_for_lock(database: Database) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    give_up = time.monotonic() + WAITING_S
    while time.monotonic() < give_up:
        with database.read() as session:
            if session.scalar(waiting):
                return
        time.sleep(0.01)
    pytest.fail("it waits for no lock")


#: nearly always in another order than they were filed in
TASKS_IN_ORDER = select(TaskRow.id).order_by(TaskRow.target_id, TaskRow.id)


def test_an_upload(api: Api, database: Database, device: str, lease: Lease) -> None:
    batch = farm.visits(lease, device, rounds=1)
    check_order(database, TASKS_IN_ORDER, lambda: api.upload(batch))


def test_a_release(api: Api, database: Database, lease: Lease) -> None:
    descending = sorted(lease.tasks, key=lambda task: task.task_id, reverse=True)
    outcomes = [
        TaskOutcome(task_id=task.task_id, state="failed", reason="crash") for task in descending
    ]
    check_order(database, TASKS_IN_ORDER, lambda: api.release(lease, outcomes))


def test_the_end_of_an_expired_lease(api: Api, database: Database, lease: Lease) -> None:
    other = api.register(farm.registration("S2")).id
    with database.write() as session:
        past = database_now(session)
        session.execute(update(LeaseRow).where(LeaseRow.id == lease.id).values(expires_at=past))
    check_order(database, TASKS_IN_ORDER, lambda: api.claim(other))


def test_a_cancellation(api: Api, database: Database, lease: Lease) -> None:
    (job,) = api.call("GET", "/v1/jobs").json()
    assert len(lease.tasks) == job["tasks"]
    path = f"/v1/jobs/{job['id']}:cancel"
    check_order(database, TASKS_IN_ORDER, lambda: api.call("POST", path))


def test_a_cancellation_locks_tasks_before_their_job(
    api: Api, database: Database, lease: Lease
) -> None:
    """As a claim does: its tasks first, then the jobs that they start."""
    (job,) = api.call("GET", "/v1/jobs").json()
    with ThreadPoolExecutor(1) as pool:
        with database.write() as holder:
            holder.execute(select(TaskRow.id).with_for_update())
            cancelling = pool.submit(api.call, "POST", f"/v1/jobs/{job['id']}:cancel")
            wait_for_lock(database)
            with database.write() as other:
                free = select(JobRow.id).with_for_update(key_share=True, skip_locked=True)
                assert list(other.scalars(free)) == [job["id"]]
        assert cancelling.result(WAITING_S).json()["state"] == "cancelled"
    assert len(lease.tasks) == TASKS


def test_a_claim_that_starts_several_jobs(api: Api, database: Database, device: str) -> None:
    for channels in range(8, 8 + TASKS):
        api.file(farm.job(farm.blocks(1, channels=channels)))
    check_order(database, select(JobRow.id).order_by(JobRow.id), lambda: api.claim(device))


def test_visits_are_stored_while_their_device_claims(
    api: Api, database: Database, settings: Settings, device: str, lease: Lease
) -> None:
    with ThreadPoolExecutor(1) as pool, database.write() as claiming:
        ask = LeaseRequest(device_id=device)
        assert service.claim(claiming, settings, ask, waited=True) is None
        uploading = pool.submit(api.upload, farm.visits(lease, device, rounds=1))
        assert set(uploading.result(WAITING_S)) == {"stored"}


def test_a_retry_waits_for_a_cancellation_and_queues_nothing_of_the_job(
    make_api: MakeApi, database: Database
) -> None:
    api = make_api(retry_backoff_s=0.0)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    for _ in range(3):
        lease = api.claim(device, max_tasks=1)
        api.release(lease, [TaskOutcome(task_id=lease.tasks[0].task_id, state="failed")])
    assert (api.job(job.id).state, api.job(job.id).tasks_failed) == ("running", 1)
    path = f"/v1/jobs/{job.id}:retry"
    with ThreadPoolExecutor(1) as pool:
        with database.write() as holder:
            jobs.cancel(holder, job.id, None)
            retrying = pool.submit(api.problem, "POST", path, status=409, kind="job-finished")
            wait_for_lock(database)
        assert "was cancelled" in retrying.result(WAITING_S)
    with database.read() as session:
        assert set(session.scalars(select(TaskRow.state))) == {
            TaskState.CANCELLED,
            TaskState.FAILED,
        }
