# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from netspec.operators import MBConv
from netspec.wire import Conditions, Lease, LeasedTask, Visit, VisitBatch
from profiler_server.dashboard.views import entry as entry_view
from profiler_server.dashboard.views import networks as networks_view
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.dashboard.queries import counted
from tests.integration.profiler_server.dashboard.visitor import Page, Visitor
from tests.integration.profiler_server.service import Api

SCRIPT = "<script>alert('x')</script>"


def visit(task: LeasedTask, lease: Lease, device: str, ms: float, hours: int, **more: Any) -> Visit:
    made = farm.visit(task, lease, device, ms=ms)
    started_at = farm.STARTED_AT + timedelta(hours=hours)
    return made.model_copy(update={"started_at": started_at, **more})


class Measured:
    """One entry, of two phones that disagree, with a visit that does not count."""

    def __init__(self, api: Api) -> None:
        self.devices = [api.register(farm.registration(serial)).id for serial in ("S1", "S2")]
        self.target_id = farm.identity().id
        leases = []
        for device in self.devices:
            api.file(farm.job(farm.blocks(1), rounds=50, remeasure=True))
            leases.append(api.claim(device))
        self.lease, other = leases
        (self.task,) = self.lease.tasks
        first, second = self.devices
        hot = Conditions(cpu_celsius=41.5, thermal_status=0, steps=("affinity f0",))
        self.visits = [
            *(visit(self.task, self.lease, first, 2.0, at, before=hot) for at in range(10)),
            *(visit(self.task, other, second, 3.0, at) for at in range(10)),
            visit(self.task, self.lease, first, 9.0, 11, rejected=SCRIPT, raw=f"5 runs {SCRIPT}"),
        ]
        assert set(api.upload(VisitBatch(visits=tuple(self.visits)))) == {"stored"}

    @property
    def path(self) -> str:
        return f"/targets/{self.target_id}/entries/{self.task.subject.content_hash}"


@pytest.fixture
def measured(api: Api) -> Measured:
    return Measured(api)


def test_a_beginning_of_a_hash_that_two_entries_share_leads_to_neither(
    api: Api, measured: Measured, database: Database
) -> None:
    api.file(farm.job(farm.blocks(2)))
    lease = api.claim(measured.devices[0])
    api.upload(farm.visits(lease, measured.devices[0], rounds=1))
    with database.read() as session, pytest.raises(Problem, match="name more of the hash"):
        entry_view.subject(session, measured.target_id, "")


def row_of(page: Page, start: str) -> str:
    (row,) = [row for row in page.rows if row.startswith(start)]
    return row


def test_an_entry_is_shown_with_spread_history_and_devices(
    admin: Visitor, measured: Measured
) -> None:
    page = admin.get(measured.path)
    assert "MBConv 56²×24 → 56²×24, kernel 3, expand 1" in page.text
    assert "This entry is held back: its devices disagree" in page.text
    assert "Latency 2.50 ms 2.00 ms to 3.00 ms, 95 %" in page.text
    assert "Visits 20 1 more left out" in page.text
    assert "Devices 2 differ by 50.0 %" in page.text
    # ten visits of 2 ms, ten of 3 ms; an hour each
    assert row_of(page, "All") == "All 20 2.00 2.38 2.50 3.00 3.00"
    # of two visits, the mean of 0.40 of the first and 0.25 of the second
    assert row_of(page, "2026-01-02 03:00") == "2026-01-02 03:00 2 2.00 2.38 2.50 2.90 3.00"
    assert sum(row.startswith("2026-01-02") and " 2 2.00" in row for row in page.rows) == 10
    assert "S1 farm-1 2.00 2.00–2.00 10 2026-01-02 12:04 no" in page.rows
    assert "Too few of the devices are near their median" in page.text
    assert "CPU 41.5 °C, thermal status 0" in page.html


def test_what_a_table_leaves_out_is_told_with_why_and_by_whom(
    api: Api, admin: Visitor, measured: Measured
) -> None:
    address = f"/targets/{measured.target_id}/left-out"
    page = admin.get(address)
    block = "MBConv 56²×24 → 56²×24, kernel 3, expand 1 float32"
    assert row_of(page, block).startswith(f"{block} 50.0 % S1 2.00 , S2 3.00")
    assert "No visit of this target was taken back" in page.text
    table = admin.get(f"/targets/{measured.target_id}")
    assert "Left out : 1 entry held back, 0 visits taken back" in table.text
    assert f"{measured.target_id}/left-out" in table.links
    body = {"device_id": measured.devices[1], "reason": f"broken {SCRIPT}"}
    api.call("POST", "/v1/visits:retract", body)
    page = admin.get(address)
    assert SCRIPT not in page.html
    assert f"broken {SCRIPT} 10 visits of 1 subject, taken back by test, " in page.text
    assert "Chosen: those of device S2 ." in page.text
    assert row_of(page, block) == f"{block} 10 of 10 visits"
    assert "No entry is held back" in page.text
    # Of the other device eleven, one of which was rejected before.
    api.call("POST", "/v1/visits:retract", {**body, "device_id": measured.devices[0]})
    page = admin.get(address)
    assert f"{block} 11 none: no other visit counts" in page.rows
    assert f"{block} 10 none: no other visit counts" in page.rows


def test_visits_lead_to_their_raw_output(admin: Visitor, measured: Measured) -> None:
    page = admin.get(measured.path)
    assert SCRIPT not in page.html
    rejected = measured.visits[-1]
    address = f"{measured.path}/visits/{rejected.id}"
    assert f"/dashboard{address}" in page.links
    page = admin.get(address)
    assert SCRIPT not in page.html
    assert f"5 runs {SCRIPT}" in page.text
    assert f"rejected {SCRIPT}" in page.text
    assert "Median 9.00 ms" in page.text
    good = admin.get(f"{measured.path}/visits/{measured.visits[0].id}").text
    assert "accepted It counts" in good
    assert "affinity f0" in good
    for path in (
        f"{measured.path}/visits/{uuid4()}",
        f"{measured.path[:-1]}0/visits/{rejected.id}",
    ):
        admin.get(path, status=404)


def test_a_visit_that_was_taken_back_says_by_whom_and_why(
    api: Api, admin: Visitor, measured: Measured
) -> None:
    body = {"device_id": measured.devices[1], "reason": f"broken {SCRIPT}"}
    api.call("POST", "/v1/visits:retract", body)
    page = admin.get(measured.path)
    assert SCRIPT not in page.html
    assert "This entry is held back" not in page.text
    assert "Visits 10 11 more left out" in page.text
    visit_page = admin.get(f"{measured.path}/visits/{measured.visits[10].id}")
    assert f"with 10 visits in all: broken {SCRIPT}" in visit_page.text
    assert "taken back by test, " in visit_page.text
    api.call("POST", "/v1/visits:retract", {**body, "device_id": measured.devices[0]})
    # There is no entry any more, but what it was made of.
    assert "taken back" in admin.get(f"{measured.path}/visits/{measured.visits[0].id}").text


def test_raw_output_is_cut_where_it_is_long(api: Api, admin: Visitor, measured: Measured) -> None:
    long = visit(measured.task, measured.lease, measured.devices[0], 2.0, 1, raw="&" * 60_000)
    api.upload(VisitBatch(visits=(long,)))
    page = admin.get(f"{measured.path}/visits/{long.id}")
    assert "Its beginning." in page.text
    assert len(page.html) < 300_000


def test_many_visits_come_in_pages(api: Api, admin: Visitor, measured: Measured) -> None:
    more = [visit(measured.task, measured.lease, measured.devices[0], 2.0, at) for at in range(70)]
    api.upload(VisitBatch(visits=tuple(more)))
    page, seen = admin.get(measured.path), set()
    # 70 hours from 03:04 on are told by the day
    assert sum("00:00" in row for row in page.rows) == 4
    while True:
        seen |= {link for link in page.links if "/visits/" in link}
        rest = [link for link in page.links if "cursor=" in link]
        if not rest:
            break
        page = admin.get(measured.path + rest[0].split("#")[0])
    assert len(seen) == 91


def test_an_imported_entry_has_no_visits(admin: Visitor, database: Database) -> None:
    block = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3)
    target = grids.put(database, {block: 1.5})
    page = admin.get(f"/targets/{target.id}/entries/{block.content_hash}")
    assert "imported from a published table" in page.text
    assert "plotly" not in page.html


def test_disagreement_lists_what_each_phone_says(admin: Visitor, measured: Measured) -> None:
    path = f"/targets/{measured.target_id}/disagreement"
    page = admin.get(path)
    assert row_of(page, "MBConv").endswith("float32 2.50 50.0 % held back S1 2.00 , S2 3.00")
    assert "differs by so much" in admin.get(f"{path}?at_least_percent=51").text
    assert "⊘</a>" in admin.get(f"/targets/{measured.target_id}").html
    assert admin.get(f"{path}?at_least_percent=nan", status=422)


def test_networks_are_shown_predicted_and_measured(api: Api, admin: Visitor) -> None:
    device, target_id = api.register(farm.registration()).id, farm.identity().id
    path = f"/targets/{target_id}/networks"
    assert "No table of this target is published yet" in admin.get(path).text
    networks = [farm.network([3], SCRIPT), farm.network([3, 6], "two"), farm.network([6], "three")]
    operators = {one for network in networks for one in network.operators}
    api.file(farm.job(operators, networks=networks))
    # a scale of 1.25 fits all but the last, which takes 10 % more
    ms = {SCRIPT: 5.0, "two": 6.25, "three": 5.5}
    api.upload(farm.visits(api.claim(device), device, rounds=2, ms=ms))
    api.call("POST", f"/v1/targets/{target_id}/snapshots", {}, status=201)
    page = admin.get(path)
    assert SCRIPT not in page.html
    (error,) = [row for row in page.rows if row.startswith("float32 scale")]
    assert "three" in error
    # each by a scale that was fitted to the other two
    held_out = [row for row in page.rows if row.startswith("two 6.250")]
    assert len(held_out) == 1
    assert "+0.0 %" not in held_out[0]
    assert [row for row in page.rows if row.startswith("three network float32 5.50")]
    assert '"text": "error, %"' in page.html


def test_pages_take_as_many_queries_whatever_they_show(
    api: Api, database: Database, measured: Measured
) -> None:
    target_id, subject = measured.target_id, measured.task.subject.content_hash

    def of_entry() -> int:
        return counted(database, lambda session: entry_view.read(session, target_id, subject, None))

    def of_networks() -> int:
        # A fresh one each time: what it keeps would make the second page cheaper.
        return counted(
            database,
            lambda session: networks_view.read(session, target_id, None, CalibrationOrigins()),
        )

    before = of_entry(), of_networks()
    more = [visit(measured.task, measured.lease, measured.devices[0], 2.0, at) for at in range(70)]
    api.upload(VisitBatch(visits=tuple(more)))
    api.file(farm.job(networks=[farm.network([3], str(at)) for at in range(3)]))
    lease = api.claim(measured.devices[1])
    api.upload(farm.visits(lease, measured.devices[1], rounds=2))
    assert (of_entry(), of_networks()) == before
