"""Jobs that measure only what tells most, step by step."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from netspec.operators import Operator
from netspec.spaces import Space
from netspec.wire import Job, Lease, OperatorSubject, TargetSelector, TaskOutcome
from profiler_server.jobs.rows import JobRow
from profiler_server.kit.sql.database import Database
from profiler_server.latency_model.features import work
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

SPACES = tuple(
    Space(input_size=32, width=0.25, classes=10, precision=precision)
    for precision in ("float32", "int8")
)
SPACE = SPACES[0]


def took_ms(operator: Operator) -> float:
    """Follows from the work, but for 15 % that nothing tells."""
    luck = int(operator.content_hash[:4], 16) / 2**16
    return (0.05 + work(operator).macs / 1e5) * (0.85 + 0.3 * luck)


def work_off(api: Api, device: str) -> list[Operator]:
    """Measures what waits; the operators among it."""
    lease: Lease = api.claim(device)
    operators = [
        task.subject.operator for task in lease.tasks if isinstance(task.subject, OperatorSubject)
    ]
    latencies = {one.key: took_ms(one) for one in operators}
    rounds = lease.tasks[0].visits
    api.upload(farm.visits(lease, device, rounds=rounds, ms=latencies))
    api.release(lease)
    return operators


def work_off_all(api: Api, device: str, job: Job) -> list[list[Operator]]:
    """Measures until the job is done; the operators of each step."""
    steps = []
    while api.job(job.id).state in ("queued", "running"):
        steps.append(work_off(api, device))
    return steps


@pytest.mark.one_database
def test_a_budget_goes_to_operators_that_tell_most(api: Api) -> None:
    device = api.register(farm.registration()).id
    first = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30))
    assert (first.tasks, first.reused) == (12, 0)
    steps = work_off_all(api, device, first)
    # A step is a tenth of the operators, or 8; what is too few to learn from comes first.
    assert [len(step) for step in steps] == [12, 8, 8, 2]
    measured = {one for step in steps for one in step}
    assert len(measured) == 30
    assert {one.family for one in measured} == {one.family for one in SPACE.operators()}
    done = api.job(first.id)
    assert (done.state, done.tasks, done.tasks_done) == ("done", 30, 30)
    second = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=5, remeasure=True))
    # What has an entry is part of the job; the budget is for what has none.
    assert second.tasks == 35
    assert measured < set(work_off(api, device))
    assert api.job(second.id).state == "done"


@pytest.mark.one_database
def test_both_precisions_share_a_budget(api: Api) -> None:
    device = api.register(farm.registration()).id
    network = farm.network([2, 3])
    job = api.file(farm.job(spaces=SPACES, networks=(network,), rounds=1, budget=30))
    steps = work_off_all(api, device, job)
    measured = [one for step in steps for one in step]
    assert [sum(one.precision == name for one in measured) for name in ("float32", "int8")] == [
        15,
        15,
    ]
    assert api.job(job.id).tasks == 31


def test_a_job_ends_by_itself_once_its_table_is_good_enough(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(spaces=(SPACE,), rounds=5, budget=60, enough_percent=3))
    assert job.table_error_percent is None
    steps = work_off_all(api, device, job)
    done = api.job(job.id)
    assert 12 < done.tasks < 60
    assert done.tasks == sum(map(len, steps))
    assert done.table_error_percent is not None
    assert done.table_error_percent <= 3
    # And it is right about that: predictions are as good as it says.
    every = SPACE.operators()
    body = {"target_id": job.target_id, "operators": [one.model_dump(mode="json") for one in every]}
    found = api.call("POST", "/v1/latencies:lookup?allow_predicted=true", body).json()["latencies"]
    values = [(one["entry"] or one["predicted"])["value_ms"] for one in found]
    truth = [took_ms(one) for one in every]
    assert abs(sum(values) / sum(truth) - 1) < 0.03


@pytest.mark.one_database
def test_nothing_is_measured_where_the_table_is_good_enough_already(api: Api) -> None:
    device = api.register(farm.registration()).id
    first = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30))
    work_off_all(api, device, first)
    known = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30, enough_percent=50))
    assert (known.tasks, known.reused, known.state) == (0, 30, "done")
    assert known.table_error_percent is not None
    assert known.table_error_percent < 50


def test_what_fails_does_not_end_a_job(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=20))
    lease = api.claim(device)
    broken = lease.tasks[0]
    latencies = {task.subject.name: 1.0 for task in lease.tasks}
    batch = farm.visits(lease, device, rounds=1, ms=latencies)
    kept = [one for one in batch.visits if one.task_id != broken.task_id]
    api.upload(batch.model_copy(update={"visits": tuple(kept)}))
    assert api.job(job.id).tasks == 12
    fail = TaskOutcome(task_id=broken.task_id, state="failed", reason="crash")
    api.release(lease, [fail])
    for _ in range(2):
        again = api.claim(device)
        assert [task.task_id for task in again.tasks] == [broken.task_id]
        api.release(again, [fail])
    # Given up: the others go on, and it is not picked again.
    assert (api.job(job.id).tasks, api.job(job.id).tasks_failed) == (20, 1)
    assert broken.subject.name not in {one.key for one in work_off(api, device)}
    assert api.job(job.id).state == "failed"


def test_a_cancelled_job_picks_nothing_more(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(spaces=(SPACE,), rounds=1, budget=30))
    lease = api.claim(device)
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    assert (api.job(job.id).state, api.job(job.id).tasks) == ("cancelled", 12)
    with database.read() as session:
        assert session.scalar(select(JobRow.plan).where(JobRow.id == job.id)) is not None


def test_every_target_gets_the_next_step_when_all_have_done_one(api: Api) -> None:
    devices = [api.register(farm.registration(name, name)).id for name in ("A", "B")]
    request = farm.job(
        spaces=(SPACE,), rounds=1, budget=20, target_id=None, select=TargetSelector()
    )
    job = api.file(request)
    assert job.tasks == 24
    first = work_off(api, devices[0])
    api.no_work(devices[0])
    assert work_off(api, devices[1]) == first
    assert api.job(job.id).tasks == 40
    assert set(work_off(api, devices[1])) == set(work_off(api, devices[0]))
    assert api.job(job.id).state == "done"


def test_without_a_budget_everything_is_measured(api: Api) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(spaces=(SPACE,), rounds=1))
    assert job.tasks == len(SPACE.operators())
    assert job.table_error_percent is None
