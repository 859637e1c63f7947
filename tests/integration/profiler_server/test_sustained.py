"""Jobs that run something without pause, and what comes of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import func, select

from netspec.wire import DeviceRegistration, Job, JobRequest, SustainedSpeed, WindowsUpload
from profiler_server.kit.sql.database import Database
from profiler_server.sustained.rows import SustainedRow
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read
from tests.unit.netspec.test_sustained import windows

MODEL = b"\x1c\0\0\0TFL3" + bytes(100)
DIGEST = hashlib.sha256(MODEL).hexdigest()


def registration() -> DeviceRegistration:
    made = farm.registration("S1")
    return made.model_copy(update={"methods": ("isolated", "sustained")})


def request(**more: Any) -> JobRequest:
    subject = {"kind": "model", "sha256": DIGEST, "name": "m.tflite"}
    asked = {
        "name": "sustained",
        "target_id": farm.identity().id,
        "rounds": 1,
        "sustained": {"subject": subject, "minutes": 3.0},
    }
    return JobRequest.model_validate(asked | more)


def filed(api: Api) -> tuple[Job, str]:
    device = api.register(registration()).id
    api.call("PUT", f"/v1/models/{DIGEST}", MODEL, status=201)
    return api.file(request()), device


def test_a_job_tells_how_fast_its_model_stays(api: Api, database: Database) -> None:
    job, device = filed(api)
    assert (job.tasks, job.state) == (1, "queued")
    none = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
    assert (none.minutes, none.speed, none.windows) == (3.0, None, ())
    lease = api.claim(device)
    (task,) = lease.tasks
    assert (task.method, task.subject.name) == ("sustained", "m.tflite, 3 min without pause")
    # The file is needed until then.
    problem = api.call("DELETE", f"/v1/models/{DIGEST}", status=409).json()
    assert problem["type"].endswith("model-in-use")

    sent = WindowsUpload(
        lease_id=lease.id, windows=tuple(windows([2.0] * 9 + [2.5] * 9, [0] * 9 + [2] * 9))
    )
    path = f"/v1/tasks/{task.task_id}/windows"
    api.call("PUT", path, sent, status=201)
    again = WindowsUpload(lease_id=lease.id, windows=tuple(windows([9.0])))
    api.call("PUT", path, again, status=204)
    assert api.job(job.id).state == "done"
    api.release(lease)

    found = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
    assert found.windows == sent.windows
    assert found.device_id == device
    assert found.speed is not None
    assert (found.speed.first_minute_ms, found.speed.steady_ms) == (2.0, 2.5)
    # No visit is made of it, so no table has it.
    assert api.entries(job.id) == []
    api.call("DELETE", f"/v1/jobs/{job.id}", status=204)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(SustainedRow)) == 0


def test_windows_are_told_while_the_model_runs(api: Api) -> None:
    job, device = filed(api)
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    for count in (1, 3):
        first = WindowsUpload(
            lease_id=lease.id, windows=tuple(windows([2.0] * count)), is_partial=True
        )
        api.call("PUT", path, first, status=201 if count == 1 else 204)
        found = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
        assert (found.windows, found.is_partial, found.device_id) == (first.windows, True, device)
        assert api.job(job.id).state == "running"
    whole = WindowsUpload(lease_id=lease.id, windows=tuple(windows([2.0] * 18)))
    api.call("PUT", path, whole, status=204)
    assert api.job(job.id).state == "done"
    # One that was on its way for long replaces nothing.
    api.call("PUT", path, first, status=204)
    found = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
    assert (found.windows, found.is_partial) == (whole.windows, False)


def test_what_was_broken_off_is_replaced_by_the_next_attempt(api: Api) -> None:
    job, device = filed(api)
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    broken = WindowsUpload(lease_id=lease.id, windows=tuple(windows([9.0] * 5)), is_partial=True)
    api.call("PUT", path, broken, status=201)
    api.release(lease)
    again = api.claim(device)
    found = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
    assert (len(found.windows), found.is_partial) == (5, True)
    first = WindowsUpload(lease_id=again.id, windows=tuple(windows([2.0])), is_partial=True)
    api.call("PUT", path, first, status=204)
    found = read(SustainedSpeed, api.call("GET", f"/v1/jobs/{job.id}/sustained"))
    assert found.windows == first.windows


def test_windows_come_under_the_lease_that_named_their_task(api: Api) -> None:
    _, device = filed(api)
    lease = api.claim(device)
    other = api.register(farm.registration("S2")).id
    api.file(farm.job(farm.blocks(1)))
    foreign = api.claim(other)
    sent = WindowsUpload(lease_id=foreign.id, windows=tuple(windows([2.0])))
    path = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    assert api.call("PUT", path, sent, status=422).json()["type"].endswith("outputs-without-lease")


def test_a_target_whose_agents_cannot_do_it_is_refused(api: Api) -> None:
    api.register(farm.registration("S1"))
    api.call("PUT", f"/v1/models/{DIGEST}", MODEL, status=201)
    problem = api.call("POST", "/v1/jobs", request(), status=422).json()
    assert problem["type"].endswith("method-not-supported")
    assert "without pause" in problem["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs/{job}/sustained", "/v1/jobs/nobody/sustained"])
def test_a_job_that_measures_has_no_such_speed(api: Api, path: str) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(1)))
    kind = "unknown-job" if "nobody" in path else "not-sustained"
    problem = api.call("GET", path.format(job=job.id), status=404).json()
    assert problem["type"].endswith(kind)
