"""The page of a device, and what people do to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update

from netspec.wire import Conditions, VisitBatch
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.views.devices import device as device_page
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.queries import counted
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

SignIn = Callable[..., Visitor]
SCRIPT = "<script>alert('x')</script>"


def measured(api: Api, database: Database, *, visits: int) -> str:
    """A device with visits of the last hours, each third of which was rejected; its id."""
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(1), rounds=1_000))
    lease = api.claim(device)
    with database.read() as session:
        now = database_now(session)
    made = [
        farm.visit(lease.tasks[0], lease, device, round_=number).model_copy(
            update={
                "started_at": now - timedelta(minutes=20 * (visits - number)),
                "after": Conditions(
                    cpu_celsius=40 + number,
                    battery_celsius=30.5,
                    battery_percent=80,
                    cpu_mhz=2_000,
                    anchor_ratio=1.0 + number / 100,
                ),
                "rejected": "" if number % 3 else f"too warm {SCRIPT}",
            }
        )
        for number in range(visits)
    ]
    api.upload(VisitBatch(visits=tuple(made)))
    return device


def test_a_lab_operator_sees_what_a_device_does_and_how_its_day_went(
    api: Api, admin: Visitor, database: Database
) -> None:
    device = measured(api, database, visits=9)
    shown = admin.get(f"/devices/{device}")
    assert "measuring" in shown.text
    assert "Measures now job : 0 of 1 task done" in shown.text
    for title, last in (
        ("CPU temperature", "48 °C"),
        ("Battery temperature", "30.5 °C"),
        ("Charge", "80 %"),
        ("Clock", "2000 MHz"),
        ("Anchor over its reference", "1.080"),
        ("Rejected visits", "3"),
    ):
        assert f"{title} {last}" in shown.text
    assert 'aria-label="Rejected visits over the last day: 3, at most ' in shown.html
    assert "9 visits. Each half hour" in shown.text
    assert f"too warm {SCRIPT}" in shown.text
    assert "lease claimed" in shown.text
    assert f"/dashboard/devices/{device}" in admin.get("/").links


def test_a_device_without_visits_says_so(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    shown = admin.get(f"/devices/{device}")
    assert "It has made no visit in the last day" in shown.text
    assert "It waits for work" in shown.text


def test_the_page_takes_as_many_queries_whatever_the_number_of_visits(
    api: Api, database: Database
) -> None:
    device = measured(api, database, visits=3)
    few = counted(database, lambda session: device_page.read(session, device))
    measured(api, database, visits=60)
    assert counted(database, lambda session: device_page.read(session, device)) == few


def test_an_operator_quarantines_labels_and_releases_a_device(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    address = f"/devices/{device}"
    page = admin.submit(admin.get(address), f"{address}/labels", {"labels": "rack=2\nowner=x y"})
    assert api.call("GET", f"/v1{address}").json()["labels"] == {"rack": "2", "owner": "x y"}
    assert "device labelled" in page.text
    page = admin.submit(page, f"{address}/quarantine", {"reason": f"smells {SCRIPT}"})
    assert f"until it is released: smells {SCRIPT}" in page.text
    assert "device quarantined reason smells" in page.text
    assert f"/dashboard{address}/quarantine" not in page.forms
    page = admin.submit(page, f"{address}/release")
    assert api.call("GET", f"/v1{address}").json().get("quarantine") is None
    assert "device released" in page.text


def test_wrong_labels_are_said_and_kept(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    address = f"/devices/{device}"
    for wrong, why in (
        ("rack", "Labels: expected name=value"),
        ("Rack Nr=2", "Labels: a name has small"),
        ("rack=1\nrack=2", "Labels: rack is named twice"),
        ("\n".join(f"l{number}=1" for number in range(33)), "a device has at most 32, got 33"),
    ):
        page = admin.submit(admin.get(address), f"{address}/labels", {"labels": wrong}, status=422)
        assert why in page.text
        assert f">{wrong}</textarea>" in page.html
        assert "pattern" not in page.text
    admin.submit(admin.get(address), f"{address}/quarantine", {"reason": " "}, status=422)
    assert json.loads(api.call("GET", f"/v1{address}").text)["labels"] == {}


def test_only_its_owner_changes_a_device_and_only_an_administrator_releases_it(
    api: Api, sign_in: SignIn
) -> None:
    device = api.register(farm.registration()).id
    address = f"/devices/{device}"
    for scope in (Scope.AGENT, Scope.TABLES_READ):
        other = sign_in(scope)
        page = other.get(address)
        assert set(page.forms) == {"/dashboard/logout"}
        hidden = page.forms["/dashboard/logout"]
        for what in ("labels", "quarantine", "release"):
            other.post(f"{address}/{what}", {**hidden, "reason": "no"}, status=403)
    assert api.call("GET", f"/v1{address}").json().get("quarantine") is None


def test_forms_of_other_sites_change_no_device(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    for what in ("labels", "quarantine", "release"):
        page = admin.post(f"/devices/{device}/{what}", {"reason": "x"}, status=403)
        assert "not made for this browser" in page.text


def test_a_device_whose_agent_has_gone_is_silent_after_two_missed_renewals(
    api: Api, admin: Visitor, database: Database
) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2)))
    lease = api.claim(device)
    with database.read() as session:
        row = session.get(DeviceRow, device)
        assert row is not None
        assert row.heard_until is not None
        # 8 s between renewals
        assert row.heard_until - row.last_seen == timedelta(seconds=16)
    api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})
    assert "measuring" in admin.get(f"/devices/{device}").text
    with database.write() as session:
        now = database_now(session)
        session.execute(update(DeviceRow).values(heard_until=now, last_seen=now))
    shown = admin.get(f"/devices/{device}").text
    assert "silent Nothing was heard of it for two renewals" in shown
    assert "Has in hand job" in shown
    assert "S1 is silent, heard last" in admin.get(f"/jobs/{job.id}").text


def test_a_device_that_does_not_exist(admin: Visitor) -> None:
    assert "There is no such device" in admin.get("/devices/device_x", status=404).text
    admin.get("/devices/device_x/live", status=404)
