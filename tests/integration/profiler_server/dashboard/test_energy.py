# ruff: noqa: RUF001 - pages have dashes
"""Energy on the pages of its job and of an entry."""

from __future__ import annotations

from collections.abc import Callable

from netspec.operators import HeadConv
from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.test_energy import (
    RAILS,
    TARGET,
    filed,
    measured,
    registered,
    visited,
)


def test_job_and_entry_tell_energy_with_its_meter(
    api: Api, admin: Visitor, sign_in: Callable[..., Visitor]
) -> None:
    device, blocks = registered(api), farm.blocks(1)
    visited(api, device, blocks)
    job = filed(api, blocks)
    assert "95 % interval" not in admin.get(f"/jobs/{job.id}").text
    measured(api, device, [1.5])
    page = admin.get(f"/jobs/{job.id}").text
    for told in ("1.50 mJ", "1.50 mJ to 1.50 mJ", RAILS.name):
        assert told in page, told
    assert RAILS.name not in sign_in(Scope.JOBS_WRITE).get(f"/jobs/{job.id}").text
    entry = admin.get(f"/targets/{TARGET}/entries/{blocks[0].content_hash}").text
    for told in ("1.50 mJ an inference", RAILS.name):
        assert told in entry, told


def test_a_heatmap_shows_energy_where_the_table_has_it(api: Api, admin: Visitor) -> None:
    device, blocks = registered(api), farm.blocks(3)
    visited(api, device, blocks)
    assert "Quantity" not in admin.get(f"/targets/{TARGET}").text
    filed(api, blocks[:2])
    measured(api, device, [1.5, 0.75])
    latency = admin.get(f"/targets/{TARGET}")
    assert "Quantity" in latency.text
    assert latency.html.count('<td class="heat-') == 3
    page = admin.get(f"/targets/{TARGET}?quantity=energy")
    assert page.html.count('<td class="heat-') == 2
    for told in (
        f"in float32, mJ, by {RAILS.name}",
        "750 uJ",
        "1.50 mJ",
        "from little to much",
    ):
        assert told in page.text, told
    assert "held back" not in page.text
    none = admin.get(f"/targets/{TARGET}?quantity=energy&precision=int8")
    assert "No block of this table is like that" in none.text


def test_a_quantity_that_no_table_has_is_refused(api: Api, admin: Visitor) -> None:
    registered(api)
    page = admin.get(f"/targets/{TARGET}?quantity=power", status=422)
    assert "Quantity: is 'power'" in page.text


def test_energies_of_other_operators_have_their_rounds_and_meter(api: Api, admin: Visitor) -> None:
    device = registered(api)
    other = HeadConv(input_size=4, in_channels=8, out_channels=8)
    visited(api, device, (other,))
    filed(api, (other,))
    measured(api, device, [1.5])
    (row,) = [row for row in admin.get(f"/targets/{TARGET}?quantity=energy").rows if "Head" in row]
    assert row.endswith(f"1.50–1.50 6 {RAILS.name}")
