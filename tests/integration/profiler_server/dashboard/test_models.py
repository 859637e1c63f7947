"""A `.tflite` file through the form of the dashboard."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from netspec.tflite import encode
from netspec.wire import MAX_MODEL_BYTES, Profile, VisitBatch
from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

MODEL = encode([farm.blocks(1)[0]])
SignIn = Callable[..., Visitor]


def test_a_file_is_uploaded_measured_and_its_latency_shown(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration())
    target_id = device.target_ids[0]
    assert "/dashboard/models/new" in admin.get("/jobs").links
    form = admin.get(f"/models/new?target_id={target_id}")
    assert f'<option value="{target_id}" selected>' in form.html
    fields = {"target_id": target_id, "rounds": "2"}
    page = admin.upload(form, "/models/new", fields, ("mine.tflite", MODEL))
    again = admin.upload(form, "/models/new", fields, ("mine.tflite", MODEL))
    assert again.address == page.address
    assert "latency of mine.tflite is queued, 0 of 2 visits stored" in page.text
    assert len(api.call("GET", "/v1/jobs").json()) == 1
    lease = api.claim(device.id)
    api.upload(farm.visits(lease, device.id, rounds=2, ms={"mine.tflite": 3.25}))
    done = admin.get(page.address.partition("/dashboard")[2])
    assert "Latency 3.25 ms" in done.text
    assert "No visit has a profile of its layers" in done.text
    (task,) = lease.tasks
    entry = f"/targets/{target_id}/entries/{task.subject.content_hash}"
    assert f"/dashboard{entry}" in done.links
    assert "3.25" in admin.get(entry).text
    (job_id,) = [one["id"] for one in api.call("GET", "/v1/jobs").json()]
    assert page.address.partition("http://localhost")[2] in admin.get(f"/jobs/{job_id}").links


def test_a_researcher_sees_where_the_time_of_a_model_goes(api: Api, admin: Visitor) -> None:
    able = farm.registration().model_copy(update={"methods": ("isolated", "in_network")})
    device = api.register(able)
    fields = {"target_id": device.target_ids[0], "rounds": "2"}
    page = admin.upload(admin.get("/models/new"), "/models/new", fields, ("mine.tflite", MODEL))
    lease = api.claim(device.id)
    assert [task.method for task in lease.tasks] == ["in_network"]
    raw = json.dumps({"delegation": "full", "load_ns": 4_000_000, "first_run_ns": 9_500_000})
    profile = Profile(
        operators_us=(600.0, 100.0, 300.0),
        statistic="mean",
        count=10,
        kernels=("Convolution", "Add", "Convolution"),
    )
    visits = farm.visits(lease, device.id, rounds=2).visits
    told = tuple(one.model_copy(update={"raw": raw, "profile": profile}) for one in visits)
    api.upload(VisitBatch(visits=told))
    shown = admin.get(page.address.partition("/dashboard")[2])
    assert "Load 4.00 ms" in shown.text
    assert "First inference 9.50 ms" in shown.text
    assert "runs the whole graph." in shown.text
    assert "Convolution 2 900 us 90.0 %" in shown.rows
    assert "Add 1 100 us 10.0 %" in shown.rows
    assert "3 Convolution 300 us 30.0 %" in shown.rows


def test_an_unknown_model_has_no_page(api: Api, admin: Visitor) -> None:
    (target_id,) = api.register(farm.registration()).target_ids
    admin.get(f"/targets/{target_id}/models/{'0' * 64}", status=404)


def test_the_only_target_is_chosen_already(api: Api, admin: Visitor) -> None:
    (target_id,) = api.register(farm.registration()).target_ids
    for form, chosen in (("/models/new", ""), ("/jobs/new", " selected")):
        # Who goes by labels must be able to choose none.
        page = admin.get(form)
        assert page.html.count(f'<option value="{target_id}"{chosen}>') == 1
        assert ("choose one" in page.text) == (form == "/jobs/new")


def test_a_model_that_the_delegate_runs_in_part_says_what_is_left(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration())
    fields = {"target_id": device.target_ids[0], "rounds": "2"}
    form = admin.get("/models/new")
    page = admin.upload(form, "/models/new", fields, ("mine.tflite", MODEL))
    lease = api.claim(device.id)
    raw = json.dumps({"delegation": "partial", "operators": 4, "undelegated": {"GATHER": 1}})
    visits = farm.visits(lease, device.id, rounds=2).visits
    changed = tuple(visit.model_copy(update={"raw": raw}) for visit in visits)
    api.upload(VisitBatch(visits=changed))
    says = "runs a part of the graph: 1 of 4 operators (25%) are left to other kernels: 1 GATHER"
    assert says in admin.get(page.address.partition("/dashboard")[2]).text
    digest = lease.tasks[0].subject.content_hash
    assert says in admin.get(f"/targets/{fields['target_id']}/entries/{digest}").text


@pytest.mark.parametrize(
    ("file", "rounds", "says", "status"),
    [
        (None, "2", "Model: choose a .tflite file", 422),
        (("mine.tflite", b"PK\x03\x04 archive"), "2", "The file is no .tflite file", 422),
        (("mine.tflite", MODEL), "many", "Rounds", 422),
        (("big.tflite", bytes(MAX_MODEL_BYTES + 1)), "2", "A model has at most", 413),
    ],
)
def test_what_cannot_be_measured_is_said_above_the_form(
    api: Api, admin: Visitor, file: tuple[str, bytes] | None, rounds: str, says: str, status: int
) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    form = admin.get("/models/new")
    fields = {"target_id": target_id, "rounds": rounds}
    page = admin.upload(form, "/models/new", fields, file, status=status)
    assert says in page.text
    assert api.call("GET", "/v1/jobs").json() == []


def test_a_larger_form_is_cut_off(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    form = admin.get("/models/new")
    file = ("big.tflite", bytes(MAX_MODEL_BYTES + 2**21))
    page = admin.upload(form, "/models/new", {}, file, status=413)
    assert "A body has at most" in page.text


def test_the_form_is_for_whoever_may_file_jobs_and_for_its_own_browser(
    api: Api, admin: Visitor, sign_in: SignIn
) -> None:
    api.register(farm.registration())
    reader = sign_in(Scope.TABLES_READ)
    reader.get("/models/new", status=403)
    assert "/dashboard/models/new" not in reader.get("/jobs").links
    form = admin.get("/models/new")
    form.forms["/dashboard/models/new"]["form_token"] = "0" * 64
    admin.upload(form, "/models/new", {}, ("mine.tflite", MODEL), status=403)
