"""Lists filtered and sorted, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from netspec.wire import DeviceRegistration, TaskOutcome
from profiler_server.auth.scopes import Scope
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.leases.retries import MOST_FAILURES
from tests import made_up
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.test_pages import next_cursor, pages

TARGET = farm.identity().id


def listed(api: Api, path: str, field: str, **query: Any) -> list[Any]:
    """A field of all items of a list."""
    asked = urlencode([*query.items()], doseq=True)
    return [item[field] for page in pages(api, f"{path}?{asked}") for item in page]


def test_jobs_by_state_name_owner_target_and_time(
    make_api: MakeApi, make_token: Callable[..., str]
) -> None:
    api = make_api(retry_backoff_s=0)
    other = Api(api.http, make_token(Scope.JOBS_WRITE))
    device = api.register(farm.registration()).id
    pixel_2 = api.register(farm.registration("S2", "Pixel 2"))

    def filed(who: Api, name: str, number: int, **more: Any) -> str:
        request = farm.job(farm.blocks(number + 1)[number:], name=name, rounds=1, **more)
        return who.file(request).id

    done = filed(api, "done 100%", 0)
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    failed = filed(api, "Failed", 1)
    for _ in range(MOST_FAILURES):
        lease = api.claim(device)
        outcome = TaskOutcome(task_id=lease.tasks[0].task_id, state="failed", reason="hot")
        api.release(lease, [outcome])
    cancelled = filed(api, "cancelled", 2)
    api.call("POST", f"/v1/jobs/{cancelled}:cancel")
    running = filed(api, "running", 3)
    api.claim(device)
    queued = filed(other, "queued", 4, target_id=pixel_2.target_ids[0], priority=7)
    everything = [queued, running, cancelled, failed, done]

    def ids(**query: Any) -> list[str]:
        return listed(api, "/v1/jobs", "id", **query)

    by_state = {"done": done, "failed": failed, "cancelled": cancelled}
    by_state |= {"running": running, "queued": queued}
    assert {state: ids(state=state) for state in by_state} == {
        state: [job] for state, job in by_state.items()
    }
    assert ids(state=["done", "queued"], limit=1) == [queued, done]
    assert {job: api.job(job).state for job in everything} == {
        job: state for state, job in by_state.items()
    }
    # `%` and `_` are characters like others.
    assert (ids(name="FAIL"), ids(name="100%"), ids(name="d_n")) == ([failed], [done], [])
    owner = other.call("GET", f"/v1/jobs/{queued}").json()["owner"]
    assert (ids(owner=owner["token_id"]), ids(owner="nobody")) == ([queued], [])
    assert ids(owner=owner["name"]) == everything
    assert ids(target_id=pixel_2.target_ids[0]) == [queued]
    times = {job: api.call("GET", f"/v1/jobs/{job}").json()["created_at"] for job in everything}
    assert ids(since=times[failed], until=times[running]) == [cancelled, failed]
    assert ids(sort="priority")[-1] == queued
    assert ids(sort="-name", limit=2) == sorted(everything, key=lambda job: api.job(job).name)[::-1]


def test_devices_by_label_state_agent_serial_owner_and_target(
    api: Api, database: Database, make_token: Callable[..., str]
) -> None:
    other = Api(api.http, make_token(Scope.AGENT))

    def registered(who: Api, serial: str, **labels: str) -> str:
        request = DeviceRegistration(
            agent=f"farm-{serial[0]}",
            serial=serial,
            targets=(farm.identity(f"Pixel {serial}"),),
            protocol=farm.PROTOCOL,
            labels={name.replace("_", "/"): value for name, value in labels.items()},
        )
        return who.register(request).id

    ready = registered(api, "a1", rack="2", team_vision="x=y")
    resting = registered(api, "a2", rack="3")
    silent = registered(api, "b1", rack="2")
    quarantined = registered(other, "b2")
    api.call("POST", f"/v1/devices/{quarantined}:quarantine", {"reason": "hot"})
    with database.write() as session:
        yesterday = database_now(session) - timedelta(days=1)
        gone = {"last_seen": yesterday, "heard_until": yesterday}
        session.execute(update(DeviceRow).where(DeviceRow.id == silent).values(gone))
        later = datetime.fromisoformat("2126-01-01T00:00:00+00:00")
        session.execute(update(DeviceRow).where(DeviceRow.id == resting).values(rests_until=later))

    def ids(**query: Any) -> list[str]:
        return listed(api, "/v1/devices", "id", **query)

    assert ids() == [ready, resting, silent, quarantined]
    of = {"ready": ready, "resting": resting, "silent": silent, "quarantined": quarantined}
    assert {state: ids(state=state) for state in of} == {state: [one] for state, one in of.items()}
    assert ids(label="rack") == [ready, resting, silent]
    assert ids(label="rack=2") == [ready, silent]
    assert ids(label=["rack=2", "team/vision=x=y"]) == [ready]
    assert ids(label="team/vision=other") == []
    assert ids(agent="farm-b") == [silent, quarantined]
    assert ids(serial="1") == [ready, silent]
    assert ids(target_id=farm.identity("Pixel a2").id) == [resting]
    assert ids(sort="-last_seen")[-1] == silent
    (name,) = {one["name"] for one in api.call("GET", "/v1/tokens").json()}
    assert ids(owner=name) == [ready, resting, silent, quarantined]
    assert ids(owner="nobody") == []
    assert ids(until=api.call("GET", f"/v1/devices/{ready}").json()["last_seen"]) == [silent]


def test_targets_by_device_model_runtime_label_and_entries(api: Api) -> None:
    for model, rack in (("Pixel 1", "2"), ("Galaxy S8", "3")):
        identity = made_up.identity(device_model=model)
        four = made_up.identity(device_model=model, threads=4)
        request = farm.registration(model, model).model_copy(
            update={"targets": (identity, four), "labels": {"rack": rack}}
        )
        device = api.register(request).id
    galaxy, galaxy_4 = identity.id, four.id
    api.file(farm.job(farm.blocks(1), target_id=galaxy_4, rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))

    def ids(**query: Any) -> list[str]:
        return listed(api, "/v1/targets", "id", **query)

    assert set(ids(name="galaxy")) == {galaxy, galaxy_4}
    assert ids(name="galaxy", threads=4) == [galaxy_4]
    assert set(ids(label="rack=3")) == {galaxy, galaxy_4}
    assert len(ids(delegate=identity.delegate)) == 4
    assert ids(delegate="gpu") == []
    assert ids(sort="-entries", limit=3)[0] == galaxy_4
    assert ids(owner="test") == ids()
    assert ids(owner="nobody") == []


def test_events_by_kind_and_time(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(1))).id
    api.claim(device)
    api.call("POST", f"/v1/jobs/{job}:cancel")

    def kinds(**query: Any) -> list[str]:
        return listed(api, "/v1/events", "kind", **query)

    assert kinds(kind=["job_created", "job_cancelled"]) == ["job_created", "job_cancelled"]
    newest = ["job_cancelled", "lease_claimed", "job_created"]
    assert kinds(sort="-id", kind=newest, limit=1) == newest
    (at,) = listed(api, "/v1/events", "at", kind="lease_claimed")
    assert kinds(since=at, kind=newest) == ["lease_claimed", "job_cancelled"]
    assert kinds(until=at, kind=newest) == ["job_created"]


def test_visits_and_entries_by_what_they_are(api: Api) -> None:
    devices = [api.register(farm.registration(serial)).id for serial in "AB"]
    operators = farm.blocks(3)
    job = api.file(farm.job(operators, rounds=2))
    slow = {operators[1].key: 3.0}
    lease = api.claim(devices[0])
    api.upload(farm.visits(lease, devices[0], rounds=1, ms=slow))
    api.release(lease)
    lease = api.claim(devices[1])
    api.upload(farm.visits(lease, devices[1], rounds=1, ms={**slow, operators[2].key: 2.0}))
    entries = f"/v1/jobs/{job.id}/entries"
    names = [operator.key for operator in operators]
    assert listed(api, entries, "name", sort="-value_ms", limit=1)[0] == names[1]
    assert listed(api, entries, "name", name=names[0][3:].upper()) == [names[0]]
    assert listed(api, entries, "name", method="fitted") == []
    of = f"/v1/targets/{TARGET}/entries/{operators[0].content_hash}/visits"
    made_by = [one["device_id"] for one in listed(api, of, "visit", sort="-stored_at")]
    assert made_by == devices[::-1]
    assert len(listed(api, of, "visit", device_id=devices[0])) == 1
    retraction = {"device_id": devices[0], "reason": "x"}
    api.call("POST", "/v1/visits:retract", retraction)
    assert len(listed(api, of, "visit", state="retracted")) == 1
    assert len(listed(api, of, "visit", state=["accepted", "rejected"])) == 1
    assert len(listed(api, "/v1/retractions", "id", device_id=devices[0])) == 1
    assert listed(api, "/v1/retractions", "id", device_id=devices[1]) == []


def test_entries_on_which_devices_differ_come_by_how_much(api: Api) -> None:
    operators = farm.blocks(3)
    devices = [api.register(farm.registration(serial)).id for serial in "AB"]
    api.file(farm.job(operators, rounds=4))
    for device, factor in zip(devices, (1.0, 1.1), strict=True):
        ms = {one.key: 1.0 + index * factor for index, one in enumerate(operators)}
        lease = api.claim(device)
        api.upload(farm.visits(lease, device, rounds=2, ms=ms))
        api.release(lease)
    path = f"/v1/targets/{TARGET}/disagreement"
    found = [one["name"] for one in listed(api, path, "entry", sort="-disagreement_percent")]
    assert found == [one.key for one in operators[::-1]]
    by_pages = listed(api, path, "entry", sort="-disagreement_percent", limit=1)
    assert [one["name"] for one in by_pages] == found
    assert len(listed(api, path, "entry", at_least_percent=1)) == 2


def test_tokens_and_models(api: Api, make_token: Callable[..., str]) -> None:
    made = api.call("POST", "/v1/tokens", {"name": "Farm", "scopes": ["agent"]}, status=201).json()
    revoked = made["info"]["id"]
    api.call("POST", f"/v1/tokens/{revoked}:revoke")
    make_token(Scope.TABLES_READ, days=-1)
    names = listed(api, "/v1/tokens", "name", state="revoked")
    assert (names, listed(api, "/v1/tokens", "id", state="valid", name="farm")) == (["Farm"], [])
    assert len(listed(api, "/v1/tokens", "id", state="expired")) == 1
    assert listed(api, "/v1/tokens", "id", scope="agent") == [revoked]
    assert listed(api, "/v1/tokens", "name", sort="-name", limit=1)[-1] == "Farm"
    assert listed(api, "/v1/models", "sha256", owner="test", sort="size") == []


def lists_of(api: Api) -> dict[str, dict[str, Any]]:
    """Every list of the server."""
    document = api.http.get("/openapi.json").json()
    return {
        path: operations["get"]
        for path, operations in document["paths"].items()
        if any(one["name"] == "cursor" for one in operations.get("get", {}).get("parameters", ()))
    }


def test_every_list_is_sorted_and_refuses_other_names_naming_its_own(api: Api) -> None:
    api.register(farm.registration())
    webhook = {"url": "https://receiver.invalid/hook"}
    ids = {
        "job_id": api.file(farm.job(farm.blocks(1))).id,
        "target_id": TARGET,
        "subject_hash": "0" * 64,
        "webhook_id": api.call("POST", "/v1/webhooks", webhook, status=201).json()["webhook"]["id"],
    }
    found = lists_of(api)
    assert len(found) >= 10
    for template, operation in found.items():
        path = template.format_map(ids)
        parameters = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
        for sort in parameters["sort"]["schema"]["enum"]:
            api.call("GET", f"{path}?sort={sort}")
        detail = api.problem("GET", f"{path}?sort=x", status=422, kind="invalid-request")
        first = parameters["sort"]["schema"]["enum"][0]
        assert "query.sort" in detail
        assert first in detail
        detail = api.problem("GET", f"{path}?stat=x", status=422, kind="invalid-request")
        assert "no parameter 'stat'" in detail
        assert all(name in detail for name in parameters)


def test_a_cursor_is_of_one_order(api: Api) -> None:
    for serial in "AB":
        api.register(farm.registration(serial))
    for sort, other in itertools.permutations(["agent", "-agent", "serial", "-serial"], 2):
        cursor = next_cursor(api, f"/v1/devices?limit=1&sort={sort}")
        path = f"/v1/devices?limit=1&sort={other}&cursor={cursor}"
        assert "in this order" in api.problem("GET", path, status=400, kind="bad-request")


@pytest.mark.parametrize("moment", ["noon", "2026-01-01", "0001-01-01T00:00:00%2B14:00"])
def test_a_time_that_is_none_is_refused(api: Api, moment: str) -> None:
    detail = api.problem("GET", f"/v1/jobs?since={moment}", status=422, kind="invalid-request")
    assert "query.since" in detail
