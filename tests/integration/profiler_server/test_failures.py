"""What failed of a job: the first of it in each answer, all of it in a list."""

from __future__ import annotations

from pydantic import TypeAdapter

from netspec.wire import MAX_JOB_FAILURES, Job, TaskFailure, TaskOutcome
from profiler_server.leases.retries import MOST_FAILURES
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

FAILED = MAX_JOB_FAILURES + 5


def listed(api: Api, path: str) -> list[TaskFailure]:
    return TypeAdapter(list[TaskFailure]).validate_json(api.call("GET", path).content)


def failed_job(api: Api) -> Job:
    """A job whose tasks were all given up, each for a reason of its own."""
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(FAILED), rounds=1))
    for _ in range(MOST_FAILURES):
        lease = api.claim(device)
        api.release(
            lease,
            [
                TaskOutcome(task_id=one.task_id, state="failed", reason=one.subject.name)
                for one in lease.tasks
            ],
        )
    return api.job(job.id)


def test_a_job_names_the_first_and_lists_all(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    job = failed_job(api)
    names = [block.key for block in farm.blocks(FAILED)]
    assert job.tasks_failed == FAILED
    assert [one.subject for one in job.failures] == names[:MAX_JOB_FAILURES]
    path = f"/v1/jobs/{job.id}/failures"
    everything = listed(api, path)
    assert [one.subject for one in everything] == names
    assert {one.target_id for one in everything} == {job.target_id}
    assert all(one.reason == one.subject for one in everything)
    page = api.call("GET", f"{path}?limit=20")
    rest = api.call("GET", page.links["next"]["url"])
    assert [one["subject"] for one in (*page.json(), *rest.json())] == names
    assert [one.subject for one in listed(api, f"{path}?sort=-position&limit=2")] == names[:-3:-1]
    assert [one.subject for one in listed(api, f"{path}?name={names[7]}")] == [names[7]]
    assert len(listed(api, f"{path}?target_id={job.target_id}")) == FAILED
    assert listed(api, f"{path}?target_id={'0' * 16}") == []


def test_each_job_of_a_list_has_its_own(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    job = failed_job(api)
    whole = api.file(farm.job(farm.blocks(1, channels=8), rounds=1))
    jobs = {one["id"]: one for one in api.call("GET", "/v1/jobs").json()}
    assert jobs[job.id]["failures"] == job.model_dump(mode="json")["failures"]
    assert jobs[whole.id]["failures"] == []
    assert listed(api, f"/v1/jobs/{whole.id}/failures") == []
    api.problem("GET", "/v1/jobs/job_x/failures", status=404, kind="unknown-job")
