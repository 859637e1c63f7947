# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from netspec.operators import Convert, MBConv
from netspec.protocol import TargetIdentity
from netspec.spaces import Space
from netspec.wire import TargetQuery
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.views import networks
from profiler_server.dashboard.views import table as table_view
from profiler_server.dashboard.views.table_filter import TableFilter
from profiler_server.devices import service as devices
from profiler_server.drift import repository as drift
from profiler_server.drift.verdicts import VERDICT, TableVerdict
from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.latency_model.drift import PredictionError
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.dashboard.queries import counted
from tests.integration.profiler_server.dashboard.visitor import Page, Visitor
from tests.integration.profiler_server.service import Api

SPACE = Space(input_size=64)
#: operator i has i + 1 ms
TABLE = {operator: float(at + 1) for at, operator in enumerate(SPACE.operators())}
SCRIPT = "<script>alert('x')</script>"


def cells(page: Page) -> int:
    return page.html.count('<td class="heat-')


def test_no_target_yet_says_what_to_do(admin: Visitor) -> None:
    assert "device-agent run registers devices" in admin.get("/targets").text


def test_targets_are_listed_with_what_they_hold(admin: Visitor, database: Database) -> None:
    target = grids.put(database, TABLE, device_model=SCRIPT)
    page = admin.get("/targets")
    assert f"/dashboard/targets/{target.id}" in page.links
    assert SCRIPT not in page.html
    (row,) = [row for row in page.rows if target.id in row]
    assert row.startswith(SCRIPT)
    assert row.endswith(f"0 {len(TABLE)}")


def test_a_table_has_a_row_a_shape_and_a_column_a_candidate(
    admin: Visitor, database: Database
) -> None:
    target = grids.put(database, TABLE, device_model=SCRIPT)
    page = admin.get(f"/targets/{target.id}")
    assert SCRIPT not in page.html
    head, *rows = page.rows[: 1 + 13]
    assert head == "Shape k3 e1 k3 e3 k3 e6 k5 e3 k5 e6 k7 e3 k7 e6"
    # the stem has 1 ms, the first block 2, then six candidates of each block
    assert rows[0] == "32²×16 → 16²×24 stride 2 – 3.00 4.00 5.00 6.00 7.00 8.00"
    assert rows[-2] == "One candidate: blocks of a network, or fixed in a space"
    assert rows[-1] == "32²×32 → 32²×16 2.00 – – – – – –"
    assert cells(page) == 67
    # 2 ms is the least of this page, 68 ms the most
    assert '<td class="heat-0"><a href="' in page.html
    assert page.html.count('<td class="heat-7">') == sum(
        ms >= 2 * 34 ** (7 / 8) for one, ms in TABLE.items() if isinstance(one, MBConv)
    )
    first = SPACE.fixed_start[1]
    link = f"{target.id}/entries/{first.content_hash[:16]}"
    assert link in page.links
    assert "MBConv 32²×32 → 32²×16" in admin.get(f"/targets/{link}").text
    assert "Stem 64²×3 → 32²×32, kernel 3, stride 2 1.00 0.90–1.10 3 imported" in page.rows


def test_filters_leave_a_choice_apart_from_what_has_none(
    admin: Visitor, database: Database
) -> None:
    """One candidate of a choice is left: still a choice."""
    target = grids.put(database, TABLE)
    rows = admin.get(f"/targets/{target.id}?kernel=3&expand=3").rows
    assert not any(row.startswith("One candidate") for row in rows)
    rows = admin.get(f"/targets/{target.id}?kernel=3").rows
    assert rows.index("One candidate: blocks of a network, or fixed in a space") == 12


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("precision=float32&kernel=&expand=&stride=&size=&method=", 67),
        ("kernel=5&expand=3", 11),
        ("stride=2", 24),
        ("size=2&method=imported", 12),
        ("method=isolated", 0),
        ("precision=int8", 0),
    ],
)
def test_a_form_filters_the_table(
    admin: Visitor, database: Database, query: str, count: int
) -> None:
    target = grids.put(database, TABLE)
    page = admin.get(f"/targets/{target.id}?{query}")
    assert cells(page) == count
    assert ("No block of this table is like that" in page.text) == (count == 0)


@pytest.mark.parametrize(
    ("query", "said", "status"),
    [
        ("kernel=many", "Kernel: expected", 422),
        ("precision=float64", "Precision: is 'float64'; did you mean", 422),
        ("colour=red", "Colour: there is no such value", 422),
        ("cursor=nonsense", "The list has no such page: begin with its first one.", 400),
        ("size=0", "Size: expected at least 1, got '0'", 422),
    ],
)
@pytest.mark.one_database
def test_other_filters_are_told(
    admin: Visitor, database: Database, query: str, said: str, status: int
) -> None:
    target = grids.put(database, TABLE)
    page = admin.get(f"/targets/{target.id}?{query}", status=status)
    assert said in page.text


def test_long_tables_go_on_with_their_filters(admin: Visitor, database: Database) -> None:
    blocks = {
        MBConv(input_size=size, in_channels=8, out_channels=8, expand=expand): float(size)
        for size in range(1, 51)
        for expand in (1, 2)
    }
    others = {Convert(input_size=size, in_channels=8, out_channels=8): 1.0 for size in range(1, 31)}
    target = grids.put(database, blocks)
    grids.put(database, others)
    page, seen = admin.get(f"/targets/{target.id}?expand=2"), 0
    while True:
        seen += cells(page)
        rest = [link for link in page.links if "cursor=" in link]
        if not rest:
            break
        assert "expand=2" in rest[0]
        page = admin.get(f"/targets/{target.id}{rest[0]}")
    assert seen == 50
    page = admin.get(f"/targets/{target.id}")
    more = sum(row.startswith("Convert") for row in page.rows)
    (link,) = [link for link in page.links if "others=" in link]
    page = admin.get(f"/targets/{target.id}{link.split('#')[0]}")
    assert more + sum(row.startswith("Convert") for row in page.rows) == 30


def test_int8_alone_is_shown_first_where_there_is_nothing_else(
    admin: Visitor, database: Database
) -> None:
    target = grids.put(database, dict.fromkeys(SPACE.with_precision("int8").operators(), 1.0))
    page = admin.get(f"/targets/{target.id}")
    assert cells(page) == 67
    assert "Latency of MBConvs in int8" in page.text
    assert '<option value="float32"' not in page.html


def test_unknown_targets_are_told(admin: Visitor) -> None:
    for path in ("", "/networks", "/disagreement", f"/entries/{'0' * 64}"):
        assert "no such target" in admin.get(f"/targets/{'0' * 16}{path}", status=404).text
    assert admin.get("/targets/nonsense", status=404)


def test_tables_need_their_scope(sign_in: Any, database: Database) -> None:
    target = grids.put(database, TABLE)
    agent = sign_in(Scope.AGENT)
    for path in ("/targets", f"/targets/{target.id}", "/comparison"):
        assert "tables:read" in agent.get(path, status=403).text
    reader = sign_in(Scope.TABLES_READ)
    assert "Measure more" not in reader.get(f"/targets/{target.id}").text


def test_a_full_table_takes_as_many_queries_as_a_small_one(database: Database) -> None:
    small = grids.put(database, {one: ms for one, ms in TABLE.items() if ms in (2.0, 3.0)})
    full = grids.put(database, TABLE, device_model="another")

    def of(target: TargetIdentity, form: TableFilter) -> int:
        return counted(database, lambda session: table_view.read(session, target.id, form))

    assert of(full, TableFilter()) == of(small, TableFilter())
    # where no block is found, the cells of none are not asked for
    nothing = TableFilter(kernel=5)
    assert of(full, nothing) - of(small, nothing) == 1
    few = counted(database, lambda session: devices.list_targets(session, TargetQuery(limit=1)))
    assert counted(database, lambda session: devices.list_targets(session, TargetQuery())) == few


@pytest.mark.parametrize("page", ["", "/networks"])
def test_a_table_that_is_no_longer_true_says_so(
    admin: Visitor, api: Api, database: Database, page: str
) -> None:
    api.register(farm.registration())
    target_id = farm.identity().id
    job = api.file(farm.job(farm.blocks(1)))
    assert "no longer true" not in admin.get(f"/targets/{target_id}{page}").text
    found = TableVerdict(drift=None, error=PredictionError(3, 9.1, 1.2))
    with database.write() as session:
        document = VERDICT.dump_json(found).decode()
        drift.put_verdict(
            session, target_id, job.id, database_now(session), document, alarming=True
        )
    shown = admin.get(f"/targets/{target_id}{page}").text
    assert "found that this table is no longer true" in shown
    assert "predictions of 3 networks are off by 9.1 %, stated are 1.2 %" in shown


def test_an_updated_target_is_offered_what_was_measured_before(
    admin: Visitor, database: Database
) -> None:
    before = grids.put(database, dict.fromkeys(farm.blocks(3), 1.0), os_build="A1")
    after = grids.put(database, {}, os_build="A2")
    page = admin.get(f"/targets/{after.id}")
    assert f"profiler-server transfer {before.id} {after.id} --measure 12" in page.text
    assert f"/dashboard/targets/{before.id}" in page.links
    assert "profiler-server transfer" not in admin.get(f"/targets/{before.id}").text


def test_a_calibration_older_than_its_entries_is_told(
    admin: Visitor, api: Api, database: Database
) -> None:
    network = farm.network([2, 3])
    device = api.register(farm.registration()).id
    api.file(farm.job(network.operators, networks=(network,), rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={network.name: 10.0}))
    api.release(lease)
    target = farm.identity().id
    unpublished = admin.get(f"/targets/{target}/networks")
    assert "No table of this target is published yet" in unpublished.text
    published = admin.submit(unpublished, f"/targets/{target}/publish")
    assert "How far predictions are off" in published.text
    assert "older than" not in published.text
    api.file(farm.job(network.operators[:1], rounds=1, remeasure=True))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={network.operators[0].key: 2.0}))
    older = admin.get(f"/targets/{target}/networks")
    assert "The float32 calibration is older than 1 of 5 entries" in older.text
    assert f"/dashboard/targets/{target}/publish" in older.forms
    # A server that was updated does not know when its entries were written.
    forget = update(EntryRow).where(EntryRow.target_id == target)
    with database.write() as session:
        session.execute(forget.values(written_at=None))
    assert "older than 1 of 5 entries" in admin.get(f"/targets/{target}/networks").text
    # What was written long before the snapshot is not looked at: a table may be large.
    with database.write() as session:
        session.execute(forget.values(written_at=database_now(session) - timedelta(hours=1)))
    with database.read() as session:
        view = networks.read(session, target, None, CalibrationOrigins())
        assert [(one.changed, one.operators) for one in view.calibrations] == [(0, 0)]


def test_a_researcher_finds_a_target_by_what_people_call_it(admin: Visitor, api: Api) -> None:
    for serial, model in (("HT1", "Pixel 8"), ("HT2", "Galaxy S23")):
        registration = farm.registration(serial, model)
        api.register(registration.model_copy(update={"labels": {"rack": serial.lower()}}))
    ids = {model: farm.identity(model).id for model in ("Pixel 8", "Galaxy S23")}
    for words, found in (
        ("pixel", {"Pixel 8"}),
        ("XNNPACK s23", {"Galaxy S23"}),
        # both have an msm8996
        ("pixel 8", {"Pixel 8"}),
        ("galaxy 8", set()),
        ("8996", set(ids)),
        ("litert", set(ids)),
        ("ht2", {"Galaxy S23"}),
        (ids["Pixel 8"][:6], {"Pixel 8"}),
        ("100%", set()),
        ("pixel s23", set()),
        ("  ", set(ids)),
    ):
        page = admin.get(f"/targets?{urlencode({'text': words})}")
        assert {
            model for model, one in ids.items() if f"/dashboard/targets/{one}" in page.links
        } == found
    assert "No target has all of these words" in admin.get("/targets?text=nonesuch").text


@pytest.mark.one_database
def test_small_latencies_are_in_microseconds_with_their_decimals_below_each_other(
    admin: Visitor, database: Database
) -> None:
    blocks = [MBConv(input_size=8, in_channels=8, out_channels=8, expand=one) for one in (1, 2, 3)]
    table = dict(zip(blocks, (0.0123, 0.2, 0.9), strict=True))
    page = admin.get(f"/targets/{grids.put(database, table).id}")
    assert "MBConvs in float32, us." in page.text
    (row,) = [row for row in page.rows if row.startswith("8²×8")]
    assert row.endswith("12.3 200.0 900.0")


@pytest.mark.one_database
def test_a_table_is_downloaded_and_read_in_python(admin: Visitor, api: Api) -> None:
    device = api.register(farm.registration("HT1")).id
    api.file(farm.job(farm.blocks(3)))
    api.upload(farm.visits(api.claim(device), device, rounds=2))
    target_id = farm.identity().id
    path = f"/targets/{target_id}"
    assert "The table in your programs" not in admin.get(path).text
    snapshot = api.call("POST", f"/v1{path}/snapshots", {}, status=201).json()
    page = admin.get(path)
    assert f"http://localhost/v1/snapshots/{snapshot['id']}" in page.text
    assert f'table = client.table("{target_id}")' in page.text
    for name, begins in (("csv", b"subject_hash,"), ("json", b"{"), ("parquet", b"PAR1")):
        address = f"/dashboard{path}/snapshot?format={name}"
        assert address in page.links
        answer = admin.http.get(address)
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].endswith(f'.{name}"')
        assert answer.content.startswith(begins), answer.content[:40]
    admin.get(f"/targets/{'0' * 16}/snapshot", status=404)
