# ruff: noqa: RUF001 - pages have dashes
"""A job that runs something without pause, on its page."""

from __future__ import annotations

from collections.abc import Callable

from netspec.wire import WindowsUpload
from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.test_sustained import filed
from tests.unit.netspec.test_sustained import windows


def test_a_page_tells_how_fast_a_model_stays(
    api: Api, admin: Visitor, sign_in: Callable[..., Visitor]
) -> None:
    job, device = filed(api)
    waiting = admin.get(f"/jobs/{job.id}").text
    assert "is to run 3 min on" in waiting
    assert "Has run 0 s of 3 min, 0 %" in waiting
    assert "First minute" not in waiting
    lease = api.claim(device)
    sent = WindowsUpload(
        lease_id=lease.id, windows=tuple(windows([2.0] * 9 + [2.5] * 9, [0] * 9 + [2] * 9))
    )
    api.call("PUT", f"/v1/tasks/{lease.tasks[0].task_id}/windows", sent, status=201)
    page = admin.get(f"/jobs/{job.id}").text
    for told in (
        "Speed without pause",
        "First minute 2.00 ms",
        "Steady state 2.50 ms over the last third",
        "Speed lost 20.0 %",
        "Throttles after 90 s",
        "2.25–3.00",
    ):
        assert told in page, told
    # What devices have found is read with the tables' scope.
    assert "Speed without pause" not in sign_in(Scope.JOBS_WRITE).get(f"/jobs/{job.id}").text


def test_a_page_tells_what_there_is_while_a_model_runs(api: Api, admin: Visitor) -> None:
    job, device = filed(api)
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    so_far = WindowsUpload(
        lease_id=lease.id, windows=tuple(windows([2.0] * 3 + [2.5])), is_partial=True
    )
    api.call("PUT", path, so_far, status=201)
    page = admin.get(f"/jobs/{job.id}").text
    for told in (
        "Has run 40 s of 3 min, 22 %",
        "40 s of 3 min so far",
        "Time left about 2 min",
        "First minute 2.00 ms not over yet",
        "Last window 2.50 ms",
        "Throttles not so far",
        "the last first",
    ):
        assert told in page, told
    assert "Steady state" not in page
    api.call("POST", f"/v1/jobs/{job.id}:cancel")
    assert "It was broken off after 40 s of 3 min." in admin.get(f"/jobs/{job.id}").text
