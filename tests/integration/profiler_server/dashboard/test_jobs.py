"""Pages of jobs: their state, progress as it comes, and what their owners may do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from netspec.wire import TaskOutcome
from profiler_server.auth import repository, service
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.live import pages as live
from profiler_server.dashboard.live import streams
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.filled_form import fields_of, jobs_of
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

SCRIPT = "<script>alert('x')</script>"
SignIn = Callable[..., Visitor]


def test_a_job_is_cancelled_on_its_owners_page_alone(
    api: Api, admin: Visitor, sign_in: SignIn
) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    owner, stranger = sign_in(Scope.JOBS_WRITE), sign_in(Scope.JOBS_WRITE)
    owner.submit(owner.get("/jobs/new"), "/jobs/new", fields_of(target_id))
    (job,) = jobs_of(api)
    cancel = f"/jobs/{job.id}/cancel"
    shown = stranger.get(f"/jobs/{job.id}")
    assert "UTC by test" in shown.text
    assert set(shown.forms) == {"/dashboard/logout"}
    stranger.post(cancel, shown.forms["/dashboard/logout"], status=403)
    assert f"/dashboard{cancel}" in admin.get(f"/jobs/{job.id}").forms
    owner.submit(owner.get(f"/jobs/{job.id}"), cancel)
    assert jobs_of(api)[0].state == "cancelled"


def test_cancelling(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(2)))
    page = admin.get(f"/jobs/{job.id}")
    cancelled = admin.submit(page, f"/jobs/{job.id}/cancel")
    assert "State cancelled" in cancelled.text
    assert "job cancelled" in cancelled.text
    assert api.job(job.id).state == "cancelled"
    assert f"/dashboard/jobs/{job.id}/cancel" not in cancelled.forms


def test_cancelling_what_is_done_says_so(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=1))
    page = admin.get(f"/jobs/{job.id}")
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    refused = admin.submit(page, f"/jobs/{job.id}/cancel", status=409)
    assert "nothing to cancel" in refused.text


def test_failures_are_shown_and_retried(make_api: Callable[..., Api]) -> None:
    api = make_api(retry_backoff_s=0.0)
    admin = Visitor(api.http.app)  # type: ignore[attr-defined]
    admin.sign_in(api.headers["Authorization"].removeprefix("Bearer "))
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=1, name=f"job {SCRIPT}"))
    for _ in range(3):
        lease = api.claim(device)
        reason = f"crashed {SCRIPT}"
        outcome = TaskOutcome(task_id=lease.tasks[0].task_id, state="failed", reason=reason)
        api.release(lease, [outcome])
    page = admin.get(f"/jobs/{job.id}")
    assert page.tags.count("script") == 0
    assert f"crashed {SCRIPT}" in page.text
    assert f"job {SCRIPT}" in page.text
    assert "State failed" in page.text
    assert "task failed" in page.text
    again = admin.submit(page, f"/jobs/{job.id}/retry")
    assert "job retried" in again.text
    assert api.job(job.id).state == "running"


@pytest.mark.one_database
def test_a_job_that_does_not_exist(admin: Visitor) -> None:
    assert "There is no such job" in admin.get("/jobs/job_x", status=404).text
    admin.get("/jobs/job_x/progress", status=404)


def test_jobs_come_in_pages(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    for number in range(51):
        api.file(farm.job(farm.blocks(1), name=f"number-{number}"))
    first = admin.get("/jobs")
    assert first.rows[1].startswith("number-50 ")
    (following,) = [link for link in first.links if "cursor=" in link]
    assert admin.get(f"/jobs{following}").rows[1].startswith("number-0 ")


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"]) if lines["data"] else None))
    return found


def test_progress_comes_as_events_until_the_job_is_finished(
    api: Api, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_EVERY_S", 0.02)
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2), rounds=1, name=f"job {SCRIPT}"))
    lease = api.claim(device)
    answers = []
    follow = threading.Thread(
        target=lambda: answers.append(admin.http.get(f"/dashboard/jobs/{job.id}/progress"))
    )
    follow.start()
    visits = farm.visits(lease, device, rounds=1)
    for visit in visits.visits:
        api.upload(visits.model_copy(update={"visits": (visit,)}))
    follow.join(20)
    assert not follow.is_alive()
    (answer,) = answers
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert events[-1][0] == "end"
    assert [kind for kind, _ in events[:-1]] == ["parts"] * (len(events) - 1)
    names = {"job-actions", "job-progress", "job-log", "job-status"}
    assert set(events[0][1]["elements"]) == names
    shown = {name: html for _, change in events[:-1] for name, html in change["elements"].items()}
    assert shown["job-status"].strip() == "done"
    assert "100 %" in shown["job-progress"]
    assert all("<script" not in html for html in shown.values())


def test_progress_ends_when_the_token_is_revoked(
    make_api: Callable[..., Api],
    make_token: Callable[..., str],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_EVERY_S", 0.02)
    monkeypatch.setattr(streams, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(service, "TRUSTED_S", 0.0)
    api = make_api()
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(2)))
    reader = Visitor(api.http.app)  # type: ignore[attr-defined]
    reader.sign_in(make_token(Scope.TABLES_READ))
    answers = []
    follow = threading.Thread(
        target=lambda: answers.append(reader.http.get(f"/dashboard/jobs/{job.id}/progress"))
    )
    follow.start()
    with database.write() as session:
        (row,) = [one for one in repository.everything(session) if one.scopes == "tables:read"]
        service.revoke(session, row.id)
    follow.join(20)
    assert not follow.is_alive()
    assert api.job(job.id).state == "queued"
    assert "end" not in [kind for kind, _ in events_of(answers[0].text)]


def test_progress_ends_when_the_server_goes_down(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(2)))
    admin.http.app.state.work_signal.close()  # type: ignore[attr-defined]
    assert admin.http.get(f"/dashboard/jobs/{job.id}/progress").status_code == 200


def test_a_job_that_no_device_serves_says_so(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(1)))
    assert "no device serves" not in admin.get(f"/jobs/{job.id}").text
    api.call("POST", f"/v1/devices/{device.id}:quarantine", {"reason": "hot"})
    shown = admin.get(f"/jobs/{job.id}")
    assert "No device serves Pixel 1" in shown.text
    assert f"/dashboard/devices/{device.id}" in shown.links
    assert "S1 is in quarantine (hot)" in shown.text
    assert "no device serves it" in admin.get("/jobs").text
    assert "Work waits for devices that do not come" in admin.get("/").text
