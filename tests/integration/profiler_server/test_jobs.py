from __future__ import annotations

import hashlib

import pytest

from netspec.spaces import Space, Stage
from netspec.wire import ModelSubject, TaskOutcome, VisitBatch
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

SPACE = Space(
    input_size=32,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2),),
    kernels=(3, 5),
    expands=(3,),
)


@pytest.fixture
def device(api: Api) -> str:
    return api.register(farm.registration()).id


def test_a_space_becomes_its_distinct_operators_and_duplicates_merge(api: Api, device: str) -> None:
    operators = SPACE.operators()
    # stem, fixed block, 2 blocks x 2 candidates, head, classifier
    assert len(operators) == 8
    job = api.file(farm.job(operators[:3], spaces=(SPACE, SPACE), networks=(farm.network([3]),)))
    assert (job.tasks, job.visits, job.visits_done, job.state) == (9, 18, 0, "queued")
    lease = api.claim(device)
    assert [task.subject.content_hash for task in lease.tasks] == [
        *(operator.content_hash for operator in operators),
        farm.network([3]).content_hash,
    ]
    assert {task.visits for task in lease.tasks} == {2}


def test_a_job_says_which_of_its_targets_no_device_serves(api: Api, device: str) -> None:
    target_id = farm.identity().id
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    assert job.unserved == ()
    # The device is measured under another runtime from now on: nothing serves the old target.
    other = farm.registration().model_copy(update={"targets": (farm.identity("Pixel 2"),)})
    assert api.register(other).id == device
    assert api.job(job.id).unserved == (target_id,)
    assert api.file(farm.job(farm.blocks(2), rounds=1)).unserved == (target_id,)
    assert {one["id"] for one in api.call("GET", "/v1/jobs").json() if one.get("unserved")} != set()
    api.register(farm.registration())
    assert api.job(job.id).unserved == ()
    api.call("POST", f"/v1/devices/{device}:quarantine", {"reason": "hot"})
    assert api.job(job.id).unserved == (target_id,)
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    assert api.job(job.id).unserved == ()


def test_a_job_is_queued_running_and_done(api: Api, device: str) -> None:
    job = api.file(farm.job(farm.blocks(2)))
    assert job.eta_s is None
    lease = api.claim(device)
    assert api.job(job.id).state == "running"
    api.upload(farm.visits(lease, device, rounds=1))
    half = api.job(job.id)
    assert (half.state, half.tasks_done, half.visits_done) == ("running", 0, 2)
    assert half.eta_s is not None
    assert half.eta_s > 0
    api.upload(farm.visits(lease, device, rounds=1))
    done = api.job(job.id)
    assert (done.state, done.tasks_done, done.visits_done, done.eta_s) == ("done", 2, 4, 0.0)


def test_rejected_visits_do_not_count(api: Api, device: str) -> None:
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    lease = api.claim(device)
    good = farm.visit(lease.tasks[0], lease, device)
    bad = good.model_copy(update={"rejected": "thermal status 2"})
    assert api.upload(VisitBatch(visits=(bad,))) == ["stored"]
    assert api.job(job.id).visits_done == 0
    assert api.entries(job.id) == []


def test_fresh_entries_are_reused_and_listed(api: Api, device: str) -> None:
    first = api.file(farm.job(farm.blocks(2)))
    api.upload(farm.visits(api.claim(device), device, rounds=2, ms={farm.blocks(1)[0].key: 3.0}))
    second = api.file(farm.job(farm.blocks(3)))
    assert (second.tasks, second.reused, second.visits_done) == (1, 2, 0)
    entries = {entry.name: entry for entry in api.entries(second.id)}
    assert set(entries) == {operator.key for operator in farm.blocks(2)}
    entry = entries[farm.blocks(1)[0].key]
    assert (entry.value_ms, entry.low_ms, entry.high_ms, entry.visits) == (3.0, 3.0, 3.0, 2)
    assert (entry.kind, entry.precision, entry.method) == ("operator", "float32", "isolated")
    assert entry.measured_at == farm.STARTED_AT.replace(second=6)
    assert api.entries(first.id) == [entries[key] for key in sorted(entries)]


@pytest.mark.usefixtures("device")
def test_entries_of_a_target_that_is_none_of_the_jobs_are_refused(api: Api) -> None:
    job = api.file(farm.job(farm.blocks(1)))
    path = f"/v1/jobs/{job.id}/entries?target_id="
    assert api.call("GET", f"{path}{job.target_id}").json() == []
    said = api.problem("GET", f"{path}{'0' * 16}", status=404, kind="unknown-target")
    assert f"it has {job.target_id}" in said


def test_a_job_of_reused_subjects_alone_is_done_at_once(api: Api, device: str) -> None:
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    again = api.file(farm.job(farm.blocks(1)))
    assert (again.state, again.tasks, again.reused) == ("done", 0, 1)
    api.no_work(device)


def test_a_new_job_asks_only_for_the_visits_that_are_missing(api: Api, device: str) -> None:
    api.file(farm.job(farm.blocks(1), rounds=5))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    job = api.file(farm.job(farm.blocks(1), rounds=3, priority=1))
    assert (job.tasks, job.visits, job.visits_done, job.reused) == (1, 3, 2, 0)
    lease = api.claim(device, max_tasks=1)
    assert [task.visits for task in lease.tasks] == [1]
    api.upload(farm.visits(lease, device, rounds=1))
    assert api.job(job.id).state == "done"


def test_remeasure_counts_only_visits_since_the_job(api: Api, device: str) -> None:
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    job = api.file(farm.job(farm.blocks(1), remeasure=True))
    assert (job.tasks, job.reused, job.visits_done) == (1, 0, 0)
    lease = api.claim(device)
    assert lease.tasks[0].visits == 2
    api.upload(farm.visits(lease, device, rounds=2))
    assert api.job(job.id).state == "done"
    assert api.entries(job.id)[0].visits == 4


def test_stale_visits_are_made_again(make_api: MakeApi, api: Api, device: str) -> None:
    api.file(farm.job(farm.blocks(1)))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    impatient = make_api(fresh_days=1e-9)
    job = impatient.file(farm.job(farm.blocks(1)))
    assert (job.tasks, job.reused) == (1, 0)


def test_visits_count_for_every_job_that_wants_the_subject(api: Api, device: str) -> None:
    one = api.file(farm.job(farm.blocks(1)))
    two = api.file(farm.job(farm.blocks(1), rounds=3))
    lease = api.claim(device)
    assert len(lease.tasks) == 1
    api.upload(farm.visits(lease, device, rounds=2))
    api.release(lease)
    assert api.job(one.id).state == "done"
    assert (api.job(two.id).state, api.job(two.id).visits_done) == ("queued", 2)
    assert api.claim(device).tasks[0].visits == 1


def test_priority_then_age_decides(api: Api, device: str) -> None:
    for name, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        operator = farm.blocks(1, channels={"old": 8, "new": 16, "urgent": 32}[name])
        api.file(farm.job(operator, name=name, priority=priority))
    lease = api.claim(device)
    channels = [task.subject.operator.in_channels for task in lease.tasks]  # type: ignore[union-attr]
    assert channels == [32, 8, 16]


def test_cancelling_reaches_the_agent_and_keeps_visits(api: Api, device: str) -> None:
    job = api.file(farm.job(farm.blocks(2)))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    cancelled = api.call("POST", f"/v1/jobs/{job.id}:cancel").json()
    assert cancelled["state"] == "cancelled"
    assert api.call("POST", f"/v1/jobs/{job.id}:cancel").json()["state"] == "cancelled"
    status = api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence}).json()
    assert sorted(status["cancelled_task_ids"]) == sorted(task.task_id for task in lease.tasks)
    api.release(lease, [TaskOutcome(task_id=lease.tasks[0].task_id, state="failed", reason="no")])
    api.no_work(device)
    assert api.job(job.id).tasks_failed == 0
    assert len(api.entries(job.id)) == 2


def test_a_finished_job_cannot_be_cancelled(api: Api, device: str) -> None:
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    api.problem("POST", f"/v1/jobs/{job.id}:cancel", status=409, kind="job-finished")


def test_what_cannot_be_measured_is_refused(api: Api) -> None:
    detail = api.problem(
        "POST", "/v1/jobs", farm.job(farm.blocks(1)), status=404, kind="unknown-target"
    )
    assert "device-agent run" in detail
    api.register(farm.registration(model="Pixel 9"))
    detail = api.problem(
        "POST", "/v1/jobs", farm.job(farm.blocks(1)), status=404, kind="unknown-target"
    )
    assert farm.identity("Pixel 9").id in detail
    assert "Pixel 9" in detail
    api.register(farm.registration())
    api.problem("POST", "/v1/jobs", farm.job(), status=422, kind="empty-job")
    model = ModelSubject(sha256="cd" * 32, name="m")
    detail = api.problem(
        "POST", "/v1/jobs", farm.job(models=(model,)), status=404, kind="unknown-model"
    )
    assert "cd" * 32 in detail
    api.problem("GET", "/v1/jobs/job_x", status=404, kind="unknown-job")
    api.problem("GET", "/v1/jobs/job_x/entries", status=404, kind="unknown-job")


def test_an_uploaded_model_is_measured(api: Api, device: str) -> None:
    content = b"\x1c\0\0\0TFL3" + bytes(100)
    sha256 = hashlib.sha256(content).hexdigest()
    api.call("PUT", f"/v1/models/{sha256}", content, status=201)
    model = ModelSubject(sha256=sha256, name="searched int8")
    job = api.file(farm.job(models=(model,)))
    lease = api.claim(device)
    assert lease.tasks[0].subject == model
    api.upload(farm.visits(lease, device, rounds=2, ms={"searched int8": 7.0}))
    (entry,) = api.entries(job.id)
    assert (entry.kind, entry.name, entry.value_ms) == ("model", "searched int8", 7.0)
    assert entry.precision is None


def test_the_latest_jobs_come_first(api: Api, device: str) -> None:
    assert device
    ids = [api.file(farm.job(farm.blocks(1), name=str(number))).id for number in range(3)]
    listed = [job["id"] for job in api.call("GET", "/v1/jobs?limit=2").json()]
    assert listed == [ids[2], ids[1]]
