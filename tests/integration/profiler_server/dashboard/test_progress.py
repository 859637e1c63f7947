"""How far a job is: on its page, in the list, by REST and by the command, for every kind of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.wire import Job, WindowsUpload
from tests.integration.profiler_server import (
    farm,
    test_energy,
    test_evaluations,
    test_sustained,
)
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.unit.netspec.test_sustained import windows


def visits(api: Api) -> Job:
    """Of two rounds the first."""
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1), rounds=2))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    return job


def without_pause(api: Api) -> Job:
    """Half of three minutes, in windows that each lasted a little longer than they should."""
    job, device = test_sustained.filed(api)
    lease = api.claim(device)
    made = [one.model_copy(update={"at_s": 1.01 * one.at_s}) for one in windows([2.0] * 9)]
    sent = WindowsUpload(lease_id=lease.id, windows=tuple(made), is_partial=True)
    api.call("PUT", f"/v1/tasks/{lease.tasks[0].task_id}/windows", sent, status=201)
    return job


def images(api: Api) -> Job:
    """Of two pieces the first."""
    job, device = test_evaluations.filed(api)
    lease = api.claim(device)
    first = lease.tasks[0]
    test_evaluations.put(api, first, test_evaluations.outputs(lease, test_evaluations.right(first)))
    return job


def energies(api: Api) -> Job:
    """Of two blocks the first."""
    device, blocks = test_energy.registered(api), farm.blocks(2)
    job = test_energy.filed(api, blocks)
    lease = api.claim(device)
    sent = test_energy.upload(lease, 1.5)
    api.call("PUT", f"/v1/tasks/{lease.tasks[0].task_id}/energy", sent, status=201)
    return job


@pytest.mark.parametrize("half", [visits, without_pause, images, energies])
def test_a_job_that_is_half_done_is_so_everywhere(
    api: Api, admin: Visitor, half: Callable[[Api], Job]
) -> None:
    job = half(api)
    listed = Job.model_validate(api.call("GET", "/v1/jobs").json()[0])
    assert (listed.state, 2 * listed.visits_done) == ("running", listed.visits)
    assert listed.eta_s is not None
    assert api.job(job.id).visits_done == listed.visits_done
    assert any("50 %" in row for row in admin.get("/jobs").rows)
    page = admin.get(f"/jobs/{job.id}")
    assert "50 %" in page.text
    assert "running, 50 % of" in page.text
    assert page.html.count('<progress max="100" value="50"') == 1


@pytest.mark.parametrize(("at_s", "there"), [(0.0, 1), (175.0, 17), (1e300, 17)])
def test_what_runs_without_pause_is_done_with_its_last_window_and_not_before(
    api: Api, at_s: float, there: int
) -> None:
    job, device = test_sustained.filed(api)
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    (one,) = windows([2.0])
    made = (one.model_copy(update={"at_s": at_s}),)
    sent = WindowsUpload(lease_id=lease.id, windows=made, is_partial=True)
    known = api.http.get(f"/v1/jobs/{job.id}", headers=api.headers).headers["ETag"]
    api.call("PUT", path, sent, status=201)
    running = api.job(job.id)
    assert (running.visits_done, running.visits) == (there, 18)
    assert running.eta_s == 10.0 * (18 - there)
    # Who waits for it to go on hears of it.
    assert api.http.get(f"/v1/jobs/{job.id}", headers=api.headers).headers["ETag"] != known
    api.call("PUT", path, sent.model_copy(update={"is_partial": False}), status=204)
    done = api.job(job.id)
    assert (done.state, done.visits_done, done.visits) == ("done", 18, 18)
