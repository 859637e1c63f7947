"""Many devices: labels, jobs on several targets, retries, quarantine, the event log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from pydantic import TypeAdapter
from sqlalchemy import update

from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.wire import (
    Device,
    DeviceRegistration,
    Event,
    Job,
    JobRequest,
    Lease,
    TaskOutcome,
)
from profiler_server.auth.scopes import Scope
from profiler_server.devices.rows import DeviceRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

EVENTS = TypeAdapter(list[Event])


@pytest.fixture
def hasty(make_api: MakeApi) -> Api:
    """A server on which nothing rests."""
    return make_api(retry_backoff_s=0.0)


def register(
    api: Api,
    serial: str,
    *models: str,
    labels: Mapping[str, str] | None = None,
    protocol: MeasurementProtocol = farm.PROTOCOL,
    **changed: object,
) -> str:
    targets: list[TargetIdentity] = [
        farm.identity(model).model_copy(update={"protocol": protocol.content_hash, **changed})
        for model in models or ("Pixel 1",)
    ]
    registration = DeviceRegistration(
        agent="farm-1",
        serial=serial,
        targets=tuple(targets),
        protocol=protocol,
        labels=None if labels is None else dict(labels),
    )
    return api.register(registration).id


def device(api: Api, device_id: str) -> Device:
    return read(Device, api.call("GET", f"/v1/devices/{device_id}"))


def selecting(operators: tuple[Operator, ...] = farm.blocks(2), **select: object) -> JobRequest:
    return JobRequest.model_validate(
        {"name": "job", "select": select, "operators": operators, "rounds": 1}
    )


def events(api: Api, query: str = "") -> list[Event]:
    return EVENTS.validate_json(api.call("GET", f"/v1/events{query}").content)


def fail(api: Api, lease: Lease, reason: str = "crash") -> None:
    outcomes = [
        TaskOutcome(task_id=task.task_id, state="failed", reason=reason) for task in lease.tasks
    ]
    api.release(lease, outcomes)


def test_labels_come_with_the_registration_or_later(api: Api) -> None:
    first = register(api, "S1", labels={"rack": "2"})
    assert device(api, first).labels == {"rack": "2"}
    assert register(api, "S1") == first
    assert device(api, first).labels == {"rack": "2"}
    wanted = {"labels": {"rack": "3", "owner": "vision"}}
    labelled = api.call("PUT", f"/v1/devices/{first}/labels", wanted)
    assert read(Device, labelled) == device(api, first)
    assert device(api, first).labels == wanted["labels"]
    api.problem("PUT", "/v1/devices/nobody/labels", wanted, status=404, kind="unknown-device")
    for bad in ({"UPPER": "x"}, {"a": "nul\0"}, {"": "x"}):
        api.problem(
            "PUT",
            f"/v1/devices/{first}/labels",
            {"labels": bad},
            status=422,
            kind="invalid-request",
        )


def test_a_job_is_measured_on_every_target_that_its_labels_select(api: Api) -> None:
    one = register(api, "S1", "Pixel 1", labels={"rack": "2"})
    two = register(api, "S2", "Pixel 2", labels={"rack": "2", "old": "yes"})
    register(api, "S3", "Pixel 3", labels={"rack": "9"})
    register(api, "S4", "Pixel 4")
    job = api.file(selecting(labels={"rack": "2"}))
    targets = [farm.identity(model).id for model in ("Pixel 1", "Pixel 2")]
    assert (list(job.target_ids), job.target_id, job.tasks) == (targets, targets[0], 4)
    for measuring in (one, two):
        lease = api.claim(measuring)
        assert len(lease.tasks) == 2
        api.upload(farm.visits(lease, measuring, rounds=1))
        api.release(lease)
    done = api.job(job.id)
    assert (done.state, done.tasks_done, done.visits_done) == ("done", 4, 4)
    for query in ("", *(f"?target_id={target}" for target in targets)):
        assert len(api.call("GET", f"/v1/jobs/{job.id}/entries{query}").json()) == 2
    assert api.file(selecting(labels={"rack": "2", "old": "yes"})).target_ids == (targets[1],)


def test_threads_delegate_and_affinity_select_targets(api: Api) -> None:
    register(api, "S1", "Pixel 1", threads=1, delegate="xnnpack", affinity="f0")
    register(api, "S2", "Pixel 2", threads=4, delegate="xnnpack", affinity="f0")
    register(api, "S3", "Pixel 3", threads=4, delegate="none", affinity="none")
    assert len(api.file(selecting()).target_ids) == 3
    assert len(api.file(selecting(threads=4)).target_ids) == 2
    assert len(api.file(selecting(threads=4, delegate="none")).target_ids) == 1
    assert len(api.file(selecting(affinity="f0", device_model="Pixel 2")).target_ids) == 1
    detail = api.problem(
        "POST", "/v1/jobs", selecting(threads=2), status=422, kind="nothing-selected"
    )
    assert '{"threads":2}' in detail


def test_runs_warm_up_and_clock_select_targets_and_never_mix(api: Api) -> None:
    few = MeasurementProtocol(min_runs=10, warmup_ms=5)
    many = MeasurementProtocol(min_runs=50, warmup_ms=20)
    first = register(api, "S1", protocol=few)
    second = register(api, "S2", protocol=many, clock_policy="locked")
    job = api.file(selecting(runs=11))
    assert job.target_ids == api.file(selecting(warmup_ms=20)).target_ids
    assert job.target_ids == api.file(selecting(clock_policy="locked")).target_ids
    assert len(api.file(selecting(runs=10, warmup_ms=5)).target_ids) == 2
    lease = api.claim(second)
    assert (lease.target_id, len(lease.tasks)) == (job.target_id, 2)
    assert api.claim(first).target_id != job.target_id
    detail = api.problem(
        "POST", "/v1/jobs", selecting(runs=51), status=422, kind="nothing-selected"
    )
    assert '{"runs":51}' in detail
    for said in ("50 runs and 20 ms", "10 runs and 5 ms", "locked clock", "device-agent run"):
        assert said in detail
    # The phone's agent is started again with --runs 60: another target, nothing is mixed.
    register(api, "S2", protocol=MeasurementProtocol(min_runs=60))
    (target_id,) = api.file(selecting(runs=51)).target_ids
    assert target_id not in (job.target_id, lease.target_id)


def test_a_job_that_sets_what_is_the_targets_is_told_where_to_choose_it(api: Api) -> None:
    register(api, "S1")
    body = farm.job(farm.blocks(1)).model_dump(mode="json") | {"runs": 50, "threads": 4}
    detail = api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")
    assert "runs, threads: how visits are made is part of the target" in detail
    assert "`select`" in detail


def test_a_job_names_a_target_or_a_selector(api: Api) -> None:
    register(api, "S1")
    both = farm.job(farm.blocks(1)).model_dump(mode="json") | {"select": {}}
    for request in (both, both | {"target_id": None, "select": None}):
        detail = api.problem("POST", "/v1/jobs", request, status=422, kind="invalid-request")
        assert "either" in detail


def test_a_job_in_both_precisions(api: Api) -> None:
    measuring = register(api, "S1")
    job = api.file(
        farm.job(farm.blocks(2), networks=(farm.network([3]),), precisions=("float32", "int8"))
    )
    assert job.tasks == 6
    precisions = [task.subject.precision for task in api.claim(measuring).tasks]
    assert precisions == ["float32"] * 2 + ["int8"] * 2 + ["float32", "int8"]


def test_a_failure_on_one_phone_of_two_is_left_to_the_other(hasty: Api) -> None:
    bad, good = register(hasty, "S1"), register(hasty, "S2")
    job = hasty.file(farm.job(farm.blocks(1), rounds=1))
    for _ in range(2):
        fail(hasty, hasty.claim(bad))
    hasty.no_work(bad)
    lease = hasty.claim(good)
    hasty.upload(farm.visits(lease, good, rounds=1))
    hasty.release(lease)
    assert hasty.job(job.id).state == "done"


def test_two_failures_on_each_of_two_phones_give_a_task_up_and_a_retry_forgets_them(
    hasty: Api,
) -> None:
    one, two = register(hasty, "S1"), register(hasty, "S2")
    job = hasty.file(farm.job(farm.blocks(2), rounds=1))
    for measuring in (one, one, two, two):
        fail(hasty, hasty.claim(measuring), f"crash of {measuring}")
    failed = hasty.job(job.id)
    assert (failed.state, failed.tasks_failed) == ("failed", 2)
    assert {failure.reason for failure in failed.failures} == {f"crash of {two}"}
    assert {failure.target_id for failure in failed.failures} == {job.target_id}
    retried = read(Job, hasty.call("POST", f"/v1/jobs/{job.id}:retry"))
    assert (retried.state, retried.tasks_failed, retried.failures) == ("running", 0, ())
    lease = hasty.claim(one)
    hasty.upload(farm.visits(lease, one, rounds=1))
    hasty.release(lease)
    again = read(Job, hasty.call("POST", f"/v1/jobs/{job.id}:retry"))
    assert (again.state, again.visits_done) == ("done", 2)
    kinds = [event.kind for event in events(hasty, f"?job_id={job.id}")]
    given_up = ["task_failed", "task_failed", "job_finished"]
    assert kinds == ["job_created", *given_up, "job_retried", "job_finished"]


def test_visits_that_came_after_a_task_was_given_up_count_at_its_retry(hasty: Api) -> None:
    measuring = register(hasty, "S1")
    job = hasty.file(farm.job(farm.blocks(1), rounds=3))
    lease = hasty.claim(measuring)
    fail(hasty, lease)
    for _ in range(2):
        fail(hasty, hasty.claim(measuring))
    hasty.upload(farm.visits(lease, measuring, rounds=2))
    assert hasty.job(job.id).state == "failed"
    hasty.call("POST", f"/v1/jobs/{job.id}:retry")
    assert [task.visits for task in hasty.claim(measuring).tasks] == [1]
    hasty.call("POST", f"/v1/jobs/{job.id}:cancel")
    hasty.problem("POST", f"/v1/jobs/{job.id}:retry", status=409, kind="job-finished")
    hasty.problem("POST", "/v1/jobs/job_x:retry", status=404, kind="unknown-job")


def test_failed_tasks_and_fruitless_devices_rest(api: Api, database: Database) -> None:
    measuring = register(api, "S1")
    api.file(farm.job(farm.blocks(1), rounds=1))

    def wake() -> None:
        with database.write() as session:
            session.execute(update(TaskRow).values(retry_at=None))

    fail(api, api.claim(measuring))
    api.no_work(measuring)
    assert device(api, measuring).rests_until is None
    wake()
    fail(api, api.claim(measuring))
    assert device(api, measuring).rests_until is not None
    wake()
    api.no_work(measuring)
    with database.write() as session:
        session.execute(update(DeviceRow).values(rests_until=None))
    lease = api.claim(measuring)
    api.upload(farm.visits(lease, measuring, rounds=1))
    api.release(lease)
    with database.read() as session:
        assert session.get_one(DeviceRow, measuring).fruitless == 0


def retry_after(api: Api, device_id: str, wait_s: float = 0.0) -> str | None:
    """Of a claim that gets no work."""
    ask = {"device_id": device_id, "wait_s": wait_s}
    answer = api.call("POST", "/v1/leases", ask, status=204)
    return answer.headers.get("Retry-After")


def test_a_claim_without_work_says_when_what_rests_may_be_leased(
    make_api: MakeApi, database: Database
) -> None:
    api = make_api(retry_backoff_s=100.0)
    measuring = register(api, "S1")
    assert retry_after(api, measuring) is None
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    lease = api.claim(measuring)
    held_s = int(retry_after(api, register(api, "S2")) or 0)
    assert 50 <= held_s <= 60, "another's lease may die"
    fail(api, lease)
    assert 95 <= int(retry_after(api, measuring) or 0) <= 100
    assert retry_after(api, measuring, wait_s=0.01) is None
    with database.write() as session:
        session.execute(update(TaskRow).where(TaskRow.position == 0).values(retry_at=None))
        later = database_now(session) + timedelta(seconds=500)
        session.execute(update(DeviceRow).values(rests_until=later))
    assert 495 <= int(retry_after(api, measuring) or 0) <= 500, "the device rests longer"
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    assert retry_after(api, measuring) is None


def test_what_is_left_to_another_device_is_not_waited_for(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    bad, _good = register(api, "S1"), register(api, "S2")
    api.file(farm.job(farm.blocks(1), rounds=1))
    for _ in range(2):
        fail(api, api.claim(bad))
    assert retry_after(api, bad) is None


def test_a_device_in_quarantine_gets_no_work_until_it_is_released(
    api: Api, make_token: Callable[..., str]
) -> None:
    measuring = register(api, "S1")
    job = api.file(farm.job(farm.blocks(2), rounds=1))
    lease = api.claim(measuring)
    where = f"/v1/devices/{measuring}"
    api.call("POST", f"{where}:quarantine", {"reason": "swollen battery"})
    shown = device(api, measuring).quarantine
    assert shown is not None
    assert shown.reason == "swollen battery"
    status = api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence}).json()
    assert len(status["cancelled_task_ids"]) == 2
    api.release(lease)
    for wait_s in (0.0, 1.0):
        ask = {"device_id": measuring, "wait_s": wait_s}
        detail = api.problem("POST", "/v1/leases", ask, status=409, kind="device-quarantined")
        assert "swollen battery" in detail
    agent = Api(api.http, make_token(Scope.AGENT))
    agent.problem("POST", f"{where}:release", status=403, kind="missing-scope")
    agent.problem("POST", f"{where}:quarantine", {"reason": "x"}, status=403, kind="foreign-device")
    for _ in range(2):
        released = read(Device, api.call("POST", f"{where}:release"))
        assert released.quarantine is None
    assert len(api.claim(measuring).tasks) == 2
    assert api.job(job.id).tasks_failed == 0
    kinds = [event.kind for event in events(api, f"?device_id={measuring}")]
    assert kinds == [
        "lease_claimed",
        "device_quarantined",
        "lease_released",
        "device_released",
        "lease_claimed",
    ]
    for act, body in (("quarantine", {"reason": "x"}), ("release", None)):
        path = f"/v1/devices/nobody:{act}"
        api.problem("POST", path, body, status=404, kind="unknown-device")


def test_events_are_listed_in_pages_either_way(api: Api) -> None:
    register(api, "S1")
    jobs = [api.file(farm.job(farm.blocks(1), name=str(number))).id for number in range(3)]
    filed = events(api, "?kind=job_created")
    assert [event.job_id for event in filed] == jobs
    assert [event.data["tasks"] for event in filed] == [1, 1, 1]
    newest = events(api, "?kind=job_created&sort=-id&limit=2")
    assert [event.job_id for event in newest] == jobs[:0:-1]
    api.problem("GET", "/v1/events?kind=nonsense", status=422, kind="invalid-request")


def test_a_server_tells_itself_from_others(api: Api) -> None:
    first = api.register(farm.registration())
    assert first.server_id is not None
    assert first.server_id.startswith("server_")
    assert api.register(farm.registration("S2")).server_id == first.server_id
