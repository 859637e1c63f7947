# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

from netspec.operators import MBConv
from profiler_server.dashboard.views import comparison as comparison_view
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.dashboard.queries import counted
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

BLOCKS = [
    MBConv(input_size=8, in_channels=8, out_channels=8, expand=expand) for expand in range(1, 6)
]
FIRST = {block: 2.0 * block.expand for block in BLOCKS}
#: 1.5 times as slow but for the third
SECOND = {block: 60.0 if block.expand == 3 else 3.0 * block.expand for block in BLOCKS}


def test_the_form_offers_targets_by_name(admin: Visitor, database: Database) -> None:
    target = grids.put(database, FIRST, device_model="<b>phone")
    other = grids.put(database, FIRST, device_model="tablet")
    page = admin.get(f"/comparison?target={target.id}")
    assert f'value="{target.id}" checked> &lt;b&gt;phone · ' in page.html
    assert f'value="{other.id}"> tablet' in page.html
    assert "Choose one more target" in page.text
    # what is chosen stays, whatever is looked for
    found = admin.get(f"/comparison?target={target.id}&text=nothing")
    assert f'value="{target.id}" checked>' in found.html
    assert other.id not in found.html


def test_two_runtimes_are_compared(admin: Visitor, database: Database) -> None:
    first = grids.put(database, FIRST)
    second = grids.put(database, SECOND, runtime="litert 9")
    page = admin.get(f"/comparison?target={first.id}&target={second.id}")
    assert "runtime ai-edge-litert 2.3.0 litert 9" in page.rows
    assert not [row for row in page.rows if row.startswith("threads")]
    # ratios 1.5 1.5 1.5 1.5 10; ranks 1 2 3 4 5 against 1 2 5 3 4
    assert [row for row in page.rows if row.endswith("float32 5 1.50 1.50–8.30 0.700")]
    (worst,) = [row for row in page.rows if "expand 3" in row]
    assert worst.endswith("6.00 60.00 10.0")
    assert page.rows.index(worst) < page.rows.index(next(r for r in page.rows if "expand 1" in r))
    assert f"/dashboard/targets/{second.id}/entries/{BLOCKS[2].content_hash}" in page.links
    # the four that differ by nothing from the median are folded
    folded = page.html.partition("<details>")[2].partition("</details>")[0]
    assert "4 of those that are told differ by less than 2 %" in folded
    assert "expand 3" not in folded
    assert page.html.count('<svg class="scatter"') == 2
    assert page.html.count("<circle") == 2 * len(BLOCKS)


def test_three_targets_are_compared_with_the_first(admin: Visitor, database: Database) -> None:
    first, second, third = (
        grids.put(database, latencies, device_model=name)
        for name, latencies in (("a", FIRST), ("b", SECOND), ("c", FIRST))
    )
    chosen = "&".join(f"target={one.id}" for one in (first, second, third))
    page = admin.get(f"/comparison?{chosen}&target={first.id}")
    assert "device model a b c" in page.rows
    assert "b float32 5 1.50 1.50–8.30 0.700" in page.rows
    assert "c float32 5 1.00 1.00–1.00 1.000" in page.rows
    assert "5 of those that are told differ by less than 2 %" in page.text


def test_what_cannot_be_compared_is_told(admin: Visitor, database: Database) -> None:
    first = grids.put(database, FIRST)
    other = grids.put(
        database,
        {MBConv(input_size=9, in_channels=8, out_channels=8, expand=1): 1.0},
        device_model="another",
    )
    nothing = admin.get(f"/comparison?target={first.id}&target={other.id}").text
    assert "The two have no entry in common" in nothing
    same = admin.get(f"/comparison?target={first.id}&target={first.id}").text
    assert "Choose one more target" in same
    unknown = f"/comparison?target={first.id}&target={'0' * 16}"
    assert "no such target" in admin.get(unknown, status=404).text
    admin.get("/comparison?target=nonsense", status=422)
    admin.get("/comparison?" + "&".join(f"target={at:016x}" for at in range(7)), status=422)


def test_more_operators_take_no_more_queries(database: Database) -> None:
    first, second = (grids.put(database, FIRST, device_model=name) for name in ("a", "b"))
    third, fourth = (
        grids.put(database, dict(list(FIRST.items())[:1]), device_model=name) for name in ("c", "d")
    )
    many = counted(database, lambda session: comparison_view.read(session, [first.id, second.id]))
    few = counted(database, lambda session: comparison_view.read(session, [third.id, fourth.id]))
    assert many == few


def test_all_targets_are_ranked_for_a_network(admin: Visitor, api: Api) -> None:
    network = farm.network([3], "net")
    for model, ms in (("slow", 8.0), ("fast", 2.0), ("predicts", 1.0), ("bare", None)):
        device = api.register(farm.registration(f"HT-{model}", model)).id
        if ms is None:
            continue
        target_id = farm.identity(model).id
        networks = [] if model == "predicts" else [network]
        job = farm.job(
            network.operators,
            networks=networks,
            target_id=target_id,
            rounds=1,
        )
        api.file(job)
        lease = api.claim(device)
        of = {task.subject.name: ms for task in lease.tasks}
        api.upload(farm.visits(lease, device, rounds=1, ms=of))
        api.release(lease)
    found = admin.get("/ranking?text=ne")
    (link,) = [one for one in found.links if "network=" in one]
    page = admin.get("/ranking" + link.removeprefix("/dashboard/ranking"))
    ranked = [row for row in page.rows if row.endswith(("measured", "predicted"))]
    # Four operators of 1 ms, and no calibration: the sum is all that its table tells.
    assert [row.split()[1] for row in ranked] == ["fast", "predicts", "slow"]
    assert [row.rpartition(" ")[2] for row in ranked] == ["measured", "predicted", "measured"]
    assert "4.000" in ranked[1]
    assert "1 other target neither measured it nor has all of its operators: bare" in page.text
    admin.get(f"/ranking?network={'0' * 64}", status=404)
