from __future__ import annotations

import pytest
from sqlalchemy import select

from netspec.operators import Classifier, MBConv, operator_from_key
from netspec.spaces import Space
from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.pages import PageRequest
from profiler_server.latency_tables import published_calibrations
from profiler_server.latency_tables.views import comparison, grid, grid_repository
from profiler_server.latency_tables.views.grid import Column, Grid
from profiler_server.latency_tables.views.grid_repository import Cell, CellFilter
from profiler_server.subjects.rows import SubjectRow
from profiler_server.subjects.shapes import Shape
from tests.integration.profiler_server import farm, grids
from tests.integration.profiler_server.service import Api

SPACE = Space(input_size=64)
#: entry i has i + 1 ms
TABLE = {operator: float(at + 1) for at, operator in enumerate(SPACE.operators())}


def read(database: Database, target_id: str, cell_filter: CellFilter, limit: int = 100) -> Grid:
    with database.read() as session:
        return grid.blocks(session, target_id, cell_filter, PageRequest(limit))


def test_a_spaces_blocks_are_rows_as_the_network_runs(database: Database) -> None:
    target = grids.put(database, TABLE)
    grids.put(database, TABLE, device_model="another")
    found = read(database, target.id, CellFilter("float32"))
    expected = [*(block.candidates[0] for block in SPACE.blocks), SPACE.fixed_start[1]]
    assert found.shapes == list(dict.fromkeys(map(Shape.of, expected)))
    # The last is fixed, and set apart.
    assert found.chosen_among == len(found.shapes) - 1
    assert found.columns == [(3, 1), (3, 3), (3, 6), (5, 3), (5, 6), (7, 3), (7, 6)]
    assert found.next_cursor is None
    blocks = {one: ms for one, ms in TABLE.items() if isinstance(one, MBConv)}
    assert {place: cell.value for place, cell in found.cells.items()} == {
        (Shape.of(one), (one.kernel, one.expand)): ms for one, ms in blocks.items()
    }
    (cell,) = (found.cells[Shape.of(one), (3, 1)] for one in blocks if one.expand == 1)
    assert (cell.subject_hash, cell.method) == (SPACE.fixed_start[1].content_hash, "imported")


@pytest.mark.parametrize(
    ("cell_filter", "count"),
    [
        # twelve shapes are searched, each with six candidates
        (CellFilter("float32", kernel=5), 22),
        (CellFilter("float32", kernel=5, expand=3), 11),
        (CellFilter("float32", stride=2), 24),
        (CellFilter("float32", input_size=2), 12),
        (CellFilter("float32", input_size=2, stride=2), 0),
        (CellFilter("float32", method="imported"), 67),
        (CellFilter("float32", method="isolated"), 0),
        (CellFilter("int8"), 0),
    ],
)
def test_filters_leave_the_cells_they_name(
    database: Database, cell_filter: CellFilter, count: int
) -> None:
    target = grids.put(database, TABLE)
    assert len(read(database, target.id, cell_filter).cells) == count


def test_pages_have_whole_rows_and_all_of_them(database: Database) -> None:
    target = grids.put(database, TABLE)
    whole = read(database, target.id, CellFilter("float32"))
    cursor: str | None = None
    shapes: list[Shape] = []
    cells: dict[tuple[Shape, Column], Cell] = {}
    while True:
        with database.read() as session:
            page_request = PageRequest(5, cursor)
            page = grid.blocks(session, target.id, CellFilter("float32"), page_request)
        assert len(page.shapes) <= 5
        shapes += page.shapes
        cells.update(page.cells)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(shapes) == len(whole.shapes)
    assert (set(shapes), cells) == (set(whole.shapes), whole.cells)


def test_other_operators_and_whole_networks_are_lists(api: Api, database: Database) -> None:
    target = grids.put(database, TABLE)
    device = api.register(farm.registration()).id
    api.file(farm.job(networks=[farm.network([3])], target_id=target.id))
    api.upload(farm.visits(api.claim(device), device, rounds=2))
    with database.read() as session:
        first = grid_repository.other_cells(
            session, target.id, CellFilter("float32"), PageRequest(2)
        )
        rest = grid_repository.other_cells(
            session, target.id, CellFilter("float32"), PageRequest(2, first.next_cursor)
        )
        wholes = grid_repository.measured_wholes(session, target.id, PageRequest(5)).items
    found = (*first.items, *rest.items)
    kinds = [Shape.parse(cell.shape).kind for _, cell in found]
    assert kinds == ["stem", "head", "classifier"]
    assert [operator_from_key(key).kind for key, _ in found] == kinds
    assert rest.next_cursor is None
    assert [(entry.value_ms, subject.name) for entry, subject in wholes] == [(1.0, "net")]


def test_older_databases_get_their_shapes_and_calibrations(api: Api, database: Database) -> None:
    target = grids.put(
        database, {**TABLE, Classifier(input_size=7, in_channels=8, out_channels=2): 1.0}
    )
    device = api.register(farm.registration()).id
    api.file(farm.job(networks=[farm.network([3])], target_id=target.id))
    api.upload(farm.visits(api.claim(device), device, rounds=2))
    api.call("POST", f"/v1/targets/{target.id}/snapshots", {}, status=201)

    def everything() -> tuple[object, ...]:
        places = (SubjectRow.hash, SubjectRow.shape, SubjectRow.kernel, SubjectRow.expand)
        entries = (EntryRow.subject_hash, EntryRow.shape, EntryRow.kernel, EntryRow.expand)
        with database.read() as session:
            return (
                session.execute(select(*places).order_by(SubjectRow.hash)).all(),
                session.execute(select(*entries).order_by(EntryRow.subject_hash)).all(),
                published_calibrations.latest(session, target.id),
            )

    before = everything()
    schema.downgrade(database, "0004")
    schema.upgrade(database)
    assert everything() == before


def test_a_snapshots_calibrations_are_read_alone(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    network = farm.network([3, 6])
    api.file(farm.job(network.operators, networks=[network]))
    api.upload(farm.visits(api.claim(device), device, rounds=2))
    target_id = farm.identity().id
    with database.read() as session:
        assert published_calibrations.latest(session, target_id) is None
    snapshot = api.call("POST", f"/v1/targets/{target_id}/snapshots", {}, status=201).json()
    with database.read() as session:
        found = published_calibrations.latest(session, target_id)
    assert found is not None
    assert found.snapshot_id == snapshot["id"]
    shown = [one.model_dump(mode="json") for one in found.calibrations]
    assert shown == snapshot["calibrations"] != []


def test_two_targets_are_compared_by_precision(database: Database) -> None:
    block = {
        expand: MBConv(input_size=8, in_channels=8, out_channels=8, expand=expand)
        for expand in range(1, 6)
    }
    alike = {operator: 2.0 * expand for expand, operator in block.items()}
    first = grids.put(database, alike)
    # 1.5 times as slow, but for the third, and one that only one side has
    others = {one: 1.5 * ms for one, ms in alike.items()} | {
        block[3]: 60.0,
        MBConv(input_size=9, in_channels=8, out_channels=8, expand=1): 7.0,
    }
    second = grids.put(database, others, runtime="litert 9")
    with database.read() as session:
        (found,) = comparison.compare(session, first.id, second.id, most=2)
        assert comparison.compare(session, first.id, "0" * 16, most=2) == []
    assert (found.precision, found.shared, found.median_ratio) == ("float32", 5, 1.5)
    # ratios 1.5 1.5 1.5 1.5 10: the 95th percentile is 4/5 of the way between the last two
    assert (found.low_ratio, found.high_ratio) == pytest.approx((1.5, 8.3))
    # ranks 1 2 3 4 5 against 1 2 5 3 4: 1 - 6 * (4 + 1 + 1) / 120
    assert found.spearman == pytest.approx(0.7)
    assert [(one.name, one.first_ms, one.ratio) for one in found.farthest][:1] == [
        (block[3].key, 6.0, 10.0)
    ]
    assert len(found.farthest) == 2
