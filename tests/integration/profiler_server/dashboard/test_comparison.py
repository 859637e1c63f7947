# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

from netspec.operators import MBConv
from profiler_server.dashboard.views import comparison as comparison_view
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import grids
from tests.integration.profiler_server.dashboard.queries import counted
from tests.integration.profiler_server.dashboard.visitor import Visitor

BLOCKS = [
    MBConv(input_size=8, in_channels=8, out_channels=8, expand=expand) for expand in range(1, 6)
]
FIRST = {block: 2.0 * block.expand for block in BLOCKS}
#: 1.5 times as slow but for the third
SECOND = {block: 60.0 if block.expand == 3 else 3.0 * block.expand for block in BLOCKS}


def test_the_form_offers_targets(admin: Visitor, database: Database) -> None:
    target = grids.put(database, FIRST, device_model="<b>phone")
    page = admin.get(f"/comparison?first={target.id}")
    assert f'<option value="{target.id}">&lt;b&gt;phone · ' in page.html
    assert "What differs" not in page.text


def test_two_runtimes_are_compared(admin: Visitor, database: Database) -> None:
    first = grids.put(database, FIRST)
    second = grids.put(database, SECOND, runtime="litert 9")
    page = admin.get(f"/comparison?first={first.id}&second= {second.id} ")
    assert "runtime ai-edge-litert 2.3.0 litert 9" in page.rows
    assert not [row for row in page.rows if row.startswith("threads")]
    # ratios 1.5 1.5 1.5 1.5 10; ranks 1 2 3 4 5 against 1 2 5 3 4
    assert "float32 5 1.50 1.50–8.30 0.700" in page.rows
    (worst,) = [row for row in page.rows if "expand 3" in row]
    assert worst.endswith("6.00 60.0 10.0")
    assert page.rows.index(worst) < page.rows.index(next(r for r in page.rows if "expand 1" in r))
    assert f"/dashboard/targets/{second.id}/entries/{BLOCKS[2].content_hash}" in page.links


def test_what_cannot_be_compared_is_told(admin: Visitor, database: Database) -> None:
    first = grids.put(database, FIRST)
    other = grids.put(
        database,
        {MBConv(input_size=9, in_channels=8, out_channels=8, expand=1): 1.0},
        device_model="another",
    )
    nothing = admin.get(f"/comparison?first={first.id}&second={other.id}").text
    assert "The two have no entry in common" in nothing
    same = admin.get(f"/comparison?first={first.id}&second={first.id}").text
    assert "it is the same target twice" in same
    assert (
        "no target" in admin.get(f"/comparison?first={first.id}&second={'0' * 16}", status=404).text
    )
    admin.get("/comparison?first=nonsense", status=422)


def test_more_operators_take_no_more_queries(database: Database) -> None:
    first, second = (grids.put(database, FIRST, device_model=name) for name in ("a", "b"))
    third, fourth = (
        grids.put(database, dict(list(FIRST.items())[:1]), device_model=name) for name in ("c", "d")
    )
    many = counted(database, lambda session: comparison_view.read(session, first.id, second.id))
    few = counted(database, lambda session: comparison_view.read(session, third.id, fourth.id))
    assert many == few
