# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

import pytest

from netspec.operators import Conv, MBConv
from profiler_server.dashboard.views import fields
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import grids
from tests.integration.profiler_server.dashboard.visitor import Visitor

CONVS = {
    Conv(input_size=size, in_channels=8, out_channels=8, kernel=kernel): 0.01 * size * kernel
    for size in (8, 16)
    for kernel in (1, 3)
}
BLOCKS = {MBConv(input_size=8, in_channels=8, out_channels=8, expand=3): 0.5}


def test_operators_of_any_kind_are_laid_out_by_their_fields(
    admin: Visitor, database: Database
) -> None:
    target = grids.put(database, {**CONVS, **BLOCKS})
    path = f"/targets/{target.id}/fields"
    page = admin.get(f"{path}?kind=conv")
    assert "Conv in float32, us" in page.text
    head, *rows = page.rows
    assert head == "input output kernel 1 kernel 3"
    assert rows == ["16²×8 16²×8 160.0 480.0", "8²×8 8²×8 80.0 240.0"]
    assert page.html.count('<td class="heat-') == len(CONVS)
    turned = admin.get(f"{path}?kind=conv&column=input&first=kernel")
    assert turned.rows[0] == "kernel output input 16²×8 input 8²×8"
    assert turned.rows[1] == "1 16²×8 160.0 –"
    assert f"entries/{next(iter(CONVS)).content_hash[:16]}" in page.links


def test_one_operator_alone_is_shown_and_what_is_not_there_is_told(
    admin: Visitor, database: Database
) -> None:
    target = grids.put(database, BLOCKS)
    path = f"/targets/{target.id}/fields"
    page = admin.get(f"{path}?kind=conv")
    assert page.rows[-1] == "– 500"
    assert "kernel 3" in page.text
    assert "was measured in int8" in admin.get(f"{path}?precision=int8").text
    empty = grids.put(database, {}, device_model="empty")
    assert "No operator has been measured" in admin.get(f"/targets/{empty.id}/fields").text
    admin.get(f"{path}?precision=int4", status=422)


def test_a_large_table_comes_in_pages(
    admin: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "MOST", 3)
    target = grids.put(database, CONVS)
    address = f"/targets/{target.id}/fields"
    page = admin.get(f"{address}?kind=conv&column=input&first=kernel")
    seen = page.html.count('<td class="heat-')
    (following,) = [link for link in page.links if "cursor=" in link]
    rest = admin.get(f"{address}{following}")
    assert (seen, rest.html.count('<td class="heat-')) == (3, 1)
    assert "A part of them." in page.text
    assert not any("cursor=" in link for link in rest.links)
    admin.get(f"{address}?kind=conv&cursor=x", status=400)
