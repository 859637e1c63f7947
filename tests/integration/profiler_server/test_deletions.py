"""What is deleted, by whom, and what refuses to go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from netspec.wire import Job, ModelSubject
from profiler_server.auth.scopes import Scope
from profiler_server.drift.rows import VerdictRow
from profiler_server.entries.rows import VisitRow
from profiler_server.jobs.rows import TaskFailureRow, TaskRow
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

MakeToken = Callable[..., str]
CONTENT = b"\x1c\0\0\0TFL3" + bytes(2_000)


def done_job(api: Api, owner: Api, blocks: int = 2) -> tuple[Job, str]:
    """A job that is done, and its device."""
    device = api.register(farm.registration()).id
    job = owner.file(farm.job(farm.blocks(blocks), rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease)
    return job, device


@pytest.fixture
def owner(api: Api, make_token: MakeToken) -> Api:
    return Api(api.http, make_token(Scope.JOBS_WRITE, Scope.TABLES_READ))


@pytest.fixture
def stranger(api: Api, make_token: MakeToken) -> Api:
    return Api(api.http, make_token(Scope.JOBS_WRITE, Scope.AGENT))


def test_a_job_goes_with_its_tasks_and_what_it_measured_stays(
    api: Api, owner: Api, stranger: Api, database: Database
) -> None:
    job, _ = done_job(api, owner)
    path = f"/v1/jobs/{job.id}"
    stranger.problem("DELETE", path, status=403, kind="not-the-owner")
    owner.call("DELETE", path, status=204)
    owner.problem("GET", path, status=404, kind="unknown-job")
    owner.problem("DELETE", path, status=404, kind="unknown-job")
    assert owner.call("GET", "/v1/jobs").json() == []
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(TaskRow)) == 0
        assert session.scalar(select(func.count()).select_from(VisitRow)) == 2
    key = farm.blocks(1)[0].key
    owner.call("GET", f"/v1/targets/{job.target_id}/latency?key={key}")
    events = api.call("GET", f"/v1/events?job_id={job.id}").json()
    kinds = [event["kind"] for event in events]
    assert kinds == ["job_created", "job_finished", "job_deleted"]
    assert events[-1]["data"]["tasks"] == 2
    # Filed again, it finds what the first one measured.
    assert owner.file(farm.job(farm.blocks(2), rounds=1)).reused == 2


def test_a_job_with_failures_goes_too(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    lease = api.claim(device)
    failed = [{"task_id": lease.tasks[0].task_id, "state": "failed", "reason": "x"}]
    released = {"fence": lease.fence, "outcomes": failed}
    api.call("POST", f"/v1/leases/{lease.id}:release", released, status=204)
    path = f"/v1/jobs/{job.id}"
    said = api.problem("DELETE", path, status=409, kind="job-not-finished")
    assert f"{path}:cancel" in said
    api.call("POST", f"{path}:cancel")
    api.call("DELETE", path, status=204)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(TaskFailureRow)) == 0


def test_a_job_whose_tasks_an_agent_holds_waits(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    lease = api.claim(device)
    path = f"/v1/jobs/{job.id}"
    api.call("POST", f"{path}:cancel")
    said = api.problem("DELETE", path, status=409, kind="job-not-finished")
    assert "an agent still holds tasks" in said
    api.release(lease)
    api.call("DELETE", path, status=204)


def test_a_recheck_that_drift_is_judged_on_stays(api: Api, database: Database) -> None:
    job, _ = done_job(api, api)
    with database.write() as session:
        row = VerdictRow(
            target_id=job.target_id,
            job_id=job.id,
            at=database_now(session),
            is_alarming=False,
            verdict="{}",
        )
        session.add(row)
    said = api.problem("DELETE", f"/v1/jobs/{job.id}", status=409, kind="job-in-use")
    assert job.target_id in said


def upload(api: Api, content: bytes = CONTENT, *, status: int = 201) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    api.call("PUT", f"/v1/models/{sha256}", content, status=status)
    return sha256


@pytest.mark.parametrize("where", ["database", "folder"])
def test_a_model_goes_when_nothing_waits_for_it(
    make_api: MakeApi,
    make_token: MakeToken,
    tmp_path: object,
    where: str,
) -> None:
    folder = f"{tmp_path}/models"
    api = make_api(model_store=folder if where == "folder" else where)
    owner, stranger = (Api(api.http, make_token(Scope.JOBS_WRITE)) for _ in range(2))
    sha256 = upload(owner)
    path = f"/v1/models/{sha256}"
    assert owner.call("GET", path).content == CONTENT
    # Who uploads it again has no right to it.
    upload(stranger, status=204)
    stranger.problem("DELETE", path, status=403, kind="not-the-owner")
    device = api.register(farm.registration()).id
    model = ModelSubject(sha256=sha256, name="m.tflite")
    job = owner.file(farm.job(models=(model,), rounds=1))
    said = owner.problem("DELETE", path, status=409, kind="model-in-use")
    assert "cancel its jobs" in said
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    assert api.job(job.id).state == "done"
    owner.call("DELETE", path, status=204)
    owner.problem("GET", path, status=404, kind="unknown-model")
    (event,) = api.call("GET", "/v1/events?kind=model_deleted").json()
    assert event["data"]["sha256"] == sha256
    # What it took stays; to measure it again takes the file.
    api.call("GET", f"/v1/targets/{job.target_id}/entries/{sha256}")
    again = farm.job(models=(model,), rounds=1, remeasure=True)
    owner.problem("POST", "/v1/jobs", again, status=404, kind="unknown-model")
    upload(stranger)
    stranger.call("DELETE", path, status=204)


def test_a_target_goes_with_the_token_that_registered_it(api: Api, make_token: MakeToken) -> None:
    agent, other = (Api(api.http, make_token(Scope.AGENT)) for _ in range(2))
    agent.register(farm.registration())
    # The agent changes its mind: nothing measures the first target any more.
    agent.register(farm.registration("S1", "Pixel 2"))
    path = f"/v1/targets/{farm.identity().id}"
    other.problem("DELETE", path, status=403, kind="not-the-owner")
    agent.call("DELETE", path, status=204)
