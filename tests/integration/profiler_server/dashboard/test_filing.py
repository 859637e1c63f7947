"""The form that files jobs: what it asks, refuses, and says before anything is filed."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from urllib.parse import urlencode

import pytest

from profiler_server.auth.scopes import Scope
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.dashboard.filled_form import fields_of, id_in, jobs_of
from tests.integration.profiler_server.dashboard.visitor import Page, Visitor
from tests.integration.profiler_server.service import Api

SCRIPT = "<script>alert('x')</script>"
SignIn = Callable[..., Visitor]

NETWORKS = json.dumps({"networks": [farm.network([2, 3]).model_dump(mode="json")]})


def test_a_job_is_filed_by_the_form_and_followed(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration())
    target_id = device.target_ids[0]
    form = admin.get(f"/jobs/new?target_id={target_id}")
    assert f'<option value="{target_id}" selected>' in form.html
    page = admin.submit(form, "/jobs/new", fields_of(target_id, rounds="2"))
    job = api.job(id_in(page))
    assert (job.name, job.tasks, job.visits) == ("from the form", 1, 2)
    assert "from the form" in page.text
    assert "queued" in page.text
    assert "job created tasks 1" in page.text
    lease = api.claim(device.id)
    api.upload(farm.visits(lease, device.id, rounds=1))
    halfway = admin.get(f"/jobs/{job.id}").text
    assert "running" in halfway
    assert "Visits stored 1 of 2, 50 %" in halfway
    assert "Time left about" in halfway
    api.upload(farm.visits(lease, device.id, rounds=1))
    done = admin.get(f"/jobs/{job.id}")
    assert "State done Visits stored 2 of 2, 100 %" in done.text
    assert f"/dashboard/jobs/{job.id}/cancel" not in done.forms
    assert any("from the form done" in row for row in admin.get("/jobs").rows)


def test_a_space_is_filed_for_devices_with_labels(api: Api, admin: Visitor) -> None:
    labelled = farm.registration().model_copy(update={"labels": {"rack": "2"}})
    target_id = api.register(labelled).target_ids[0]
    form = admin.get("/jobs/new")
    fields = {"name": "space", "subject": "space", "input_size": "32", "width": "0.5"}
    more = {
        "classes": "10",
        "labels": "rack=2",
        "rounds": "1",
        "priority": "3",
        "method": "isolated",
    }
    page = admin.submit(form, "/jobs/new", {**fields, **more, "precisions": ["float32", "int8"]})
    job = api.job(id_in(page))
    assert job.target_ids == (target_id,)
    assert job.tasks % 2 == 0


def test_a_form_that_is_sent_twice_files_one_job(api: Api, admin: Visitor) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    form = admin.get("/jobs/new")
    fields = fields_of(target_id)
    first = admin.submit(form, "/jobs/new", fields)
    assert admin.submit(form, "/jobs/new", fields).address == first.address
    assert len(jobs_of(api)) == 1
    # Sent again with something else in it, it is not taken for the first.
    page = admin.submit(form, "/jobs/new", {**fields, "name": "other"}, status=422)
    assert "was sent with another body" in page.text
    assert len(jobs_of(api)) == 1


@pytest.mark.parametrize(
    ("changed", "why", "status"),
    [
        ({"rounds": "many"}, "Rounds: expected a whole number, got 'many'", 422),
        ({"labels": "rack=2"}, "but “Labels of devices” is filled in", 422),
        ({"where": "labels", "labels": "rack=2"}, "but “Target” is filled in", 422),
        ({"target_id": "0" * 16}, "No target '0000000000000000'", 404),
        ({"target_id": "", "labels": "rack=9"}, "No device with a target matches", 422),
        ({"target_id": ""}, "Choose a target, or name labels of devices", 422),
        ({"target_id": "", "labels": "rack"}, "Labels: expected name=value, got 'rack'", 422),
        ({"document": '{"operators": []}'}, "Name at least one", 422),
        ({"method": "in_network", "document": NETWORKS}, "can measure in networks", 422),
        ({"name": SCRIPT, "document": SCRIPT}, "JSON object: not JSON", 422),
        (
            {"input_size": "32"},
            "but “Input size (px)” is filled in: choose “A published space”",
            422,
        ),
        ({"recipe": "[space]"}, "but “Text of a recipe” is filled in: choose “The space", 422),
        ({"subject": "space", "document": "", "space": "no"}, "There is no space 'no'", 422),
    ],
)
@pytest.mark.one_database
def test_a_wrong_form_comes_back_as_it_was_filled(
    api: Api, admin: Visitor, changed: dict[str, str], why: str, status: int
) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    fields = fields_of(target_id, **changed)
    page = admin.submit(admin.get("/jobs/new"), "/jobs/new", fields, status=status)
    assert why in page.text
    assert 'role="alert"' in page.html
    # The one that tells what an answer comes to; none that was typed.
    assert page.tags.count("script") == 1
    # What was typed stands in a field of the question, or waits behind it.
    assert all(fields[name] in unescape(page.html) for name in ("name", "document"))
    assert jobs_of(api) == []


@pytest.mark.parametrize(
    ("changed", "question", "status"),
    [
        ({"target_id": "0" * 16}, "Where is it to be measured?", 404),
        ({"target_id": "x"}, "Where is it to be measured?", 422),
        ({"target_id": "", "labels": "rack=9"}, "Where is it to be measured?", 422),
        ({"document": '{"operators": 3}'}, "What is to be measured?", 422),
        ({"method": "in_network", "document": NETWORKS}, "How is it to be measured?", 422),
        ({"rounds": "0"}, "How is it to be measured?", 422),
    ],
)
@pytest.mark.one_database
def test_a_wrong_answer_leads_back_to_its_question(
    api: Api, admin: Visitor, changed: dict[str, str], question: str, status: int
) -> None:
    fields = fields_of(api.register(farm.registration()).target_ids[0], **changed)
    page = admin.submit(admin.get("/jobs/new"), "/jobs/new", fields, status=status)
    assert question in page.text


def answer_where(admin: Visitor, status: int = 200, **where: str) -> Page:
    """Sends the first question's answer, as a browser without scripts does."""
    fields = {"target_id": "", "labels": "", "step": "what", **where}
    return admin.submit(admin.get("/jobs/new"), "/jobs/new", fields, status=status)


@pytest.mark.parametrize(
    ("where", "why", "status"),
    [
        (
            {"where": "target", "target_id": "0" * 16},
            "No target '0000000000000000'; there are",
            404,
        ),
        ({"where": "target", "target_id": "x"}, "Target: is not of the form", 422),
        ({"where": "labels", "labels": "rack=9"}, "No device has rack=9; there are owner=ann", 422),
        ({"where": "labels", "labels": "rack=9"}, "rack=2 (2 devices)", 422),
        (
            {"where": "labels", "labels": "rack=2, owner=bob"},
            "No device has all of rack=2, owner=bob",
            422,
        ),
        ({"where": "labels", "labels": "rack"}, "Labels: expected name=value", 422),
        ({"where": "labels"}, "Name at least one label", 422),
        ({"where": "target"}, "Choose a target", 422),
    ],
)
def test_a_place_that_there_is_not_is_refused_at_its_question(
    api: Api, admin: Visitor, where: dict[str, str], why: str, status: int
) -> None:
    for serial, owner in (("S1", "ann"), ("S2", "bob"), ("S3", "bob")):
        labels = {"owner": owner} | ({"rack": "2"} if serial != "S3" else {})
        if serial == "S2":
            del labels["owner"]
        made = farm.registration(serial)
        api.register(made.model_copy(update={"labels": labels}))
    page = answer_where(admin, status, **where)
    assert why in page.text
    assert "Where is it to be measured?" in page.text
    said = admin.http.get(f"/dashboard/jobs/new/where?{urlencode(where)}").json()
    assert said["is_good"] is False
    assert why in said["says"]


def test_a_place_is_described_while_it_is_chosen(api: Api, admin: Visitor) -> None:
    target_id = ""
    for serial in ("S1", "S2"):
        made = farm.registration(serial).model_copy(update={"labels": {"rack": "2"}})
        target_id = api.register(made).target_ids[0]

    def says(**where: str) -> str:
        said = admin.http.get(f"/dashboard/jobs/new/where?{urlencode(where)}").json()
        assert said["is_good"] is True
        return str(said["says"])

    assert says(where="target", target_id=target_id) == "2 devices of this target."
    assert says(labels="rack=2").startswith("2 devices of 1 target: Pixel 1")
    assert "What is to be measured?" in answer_where(admin, where="labels", labels="rack=2").text


def test_a_link_to_a_target_that_is_gone_says_so(api: Api, admin: Visitor) -> None:
    api.register(farm.registration())
    for form in ("jobs", "models"):
        page = admin.get(f"/{form}/new?target_id={'0' * 16}", status=404)
        assert "No target '0000000000000000'" in page.text
        assert '<select id="target_id"' in page.html


def test_a_link_to_a_target_without_devices_chooses_it(api: Api, admin: Visitor) -> None:
    old = api.register(farm.registration("S1")).target_ids[0]
    api.register(farm.registration("S2", "Pixel 8"))
    # The only device that had it has another model now.
    api.register(farm.registration("S1", "Pixel 8"))
    page = admin.get(f"/jobs/new?target_id={old}")
    assert f'<option value="{old}" selected>' in page.html
    where = {"where": "target", "target_id": old}
    said = admin.http.get(f"/dashboard/jobs/new/where?{urlencode(where)}").json()
    assert said == {
        "is_good": True,
        "says": "No device has it now: a job would wait until one comes.",
    }


def test_an_imported_table_is_no_place_to_measure(admin: Visitor, database: Database) -> None:
    imported = grids.put(database, {farm.blocks(1)[0]: 1.0}, device_model="imported")
    why = "is an imported table, which no device can measure"
    assert why in admin.get(f"/jobs/new?target_id={imported.id}", status=422).text
    assert why in answer_where(admin, 422, where="target", target_id=imported.id).text


def test_only_who_files_jobs_asks_about_places(sign_in: SignIn) -> None:
    reader = sign_in(Scope.TABLES_READ)
    assert reader.http.get("/dashboard/jobs/new/where?labels=a%3D1").status_code == 403


def test_energy_is_filed_by_the_form(api: Api, admin: Visitor) -> None:
    made = farm.registration().model_copy(update={"methods": ("isolated", "energy")})
    target_id = api.register(made).target_ids[0]
    fields = fields_of(target_id, quantity="energy", windows="6", seconds="2", rounds="10")
    form = admin.get("/jobs/new")
    check = admin.submit(form, "/jobs/new", {**fields, "step": "check"})
    assert "Subject 1 Measurements to make 1" in check.text
    assert "Takes about 38 s" in check.text
    assert "energy of an inference of each, 6 rounds of windows of at least 2 s" in check.text
    job = api.job(id_in(admin.submit(form, "/jobs/new", fields)))
    assert (job.tasks, job.visits) == (1, 1)
    (task,) = api.claim(api.call("GET", "/v1/devices").json()[0]["id"]).tasks
    assert task.method == "energy"
    refused = admin.submit(form, "/jobs/new", {**fields, "rounds": "3"}, status=422)
    assert "but “Rounds (visits of each subject)” is filled in" in refused.text
    assert "How is it to be measured?" in refused.text


def test_a_target_that_counts_no_energy_is_said_at_its_question(api: Api, admin: Visitor) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    fields = fields_of(target_id, quantity="energy", rounds="10")
    page = admin.submit(admin.get("/jobs/new"), "/jobs/new", fields, status=422)
    assert "counts energy" in page.text
    assert "How is it to be measured?" in page.text


@pytest.mark.parametrize("form_token", [None, "", "0" * 64])
@pytest.mark.one_database
def test_a_form_of_another_site_files_and_changes_nothing(
    api: Api, admin: Visitor, form_token: str | None
) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    job = api.file(farm.job(farm.blocks(1)))
    given = {} if form_token is None else {"form_token": form_token}
    for path in ("/jobs/new", f"/jobs/{job.id}/cancel", f"/jobs/{job.id}/retry", "/logout"):
        page = admin.post(path, {**fields_of(target_id), **given}, status=403)
        assert "not made for this browser" in page.text
    assert [one.state for one in jobs_of(api)] == ["queued"]


@pytest.mark.one_database
def test_a_form_of_another_sessions_page_is_refused(api: Api, sign_in: SignIn) -> None:
    target_id = api.register(farm.registration()).target_ids[0]
    one, other = sign_in(Scope.JOBS_WRITE), sign_in(Scope.JOBS_WRITE)
    form = one.get("/jobs/new")
    other.submit(form, "/jobs/new", fields_of(target_id), status=403)
    one.submit(form, "/jobs/new", fields_of(target_id))
    assert len(jobs_of(api)) == 1


@pytest.mark.one_database
def test_who_may_only_look_is_offered_and_allowed_nothing_else(api: Api, sign_in: SignIn) -> None:
    api.register(farm.registration())
    job = api.file(farm.job(farm.blocks(1)))
    for scope in (Scope.TABLES_READ, Scope.AGENT):
        reader = sign_in(scope)
        shown = reader.get(f"/jobs/{job.id}")
        assert set(shown.forms) == {"/dashboard/logout"}
        assert "/dashboard/jobs/new" not in reader.get("/jobs").links
        hidden = shown.forms["/dashboard/logout"]
        assert "jobs:write" in reader.get("/jobs/new", status=403).text
        for path in ("/jobs/new", f"/jobs/{job.id}/cancel", f"/jobs/{job.id}/retry"):
            reader.post(path, hidden, status=403)
    assert jobs_of(api)[0].state == "queued"
