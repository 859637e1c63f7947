from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.bulk import Row, insert_absent, insert_or_replace, update_each
from profiler_server.kit.sql.database import Database
from profiler_server.uploaded_models.rows import ModelRow

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
#: what a quoting mistake would trip over
STRANGE = "a'b\"c\\d\te\nü€😀 %s %(x)s :y {}"


def devices(count: int, serial: str = STRANGE) -> list[Row]:
    return [
        {
            "id": f"device_{number}",
            "agent": f"farm-{number}",
            "serial": serial,
            "protocol": "{}",
            "registered_at": AT,
            "last_seen": AT.astimezone(timezone(timedelta(hours=5))),
        }
        for number in range(count)
    ]


@pytest.fixture(params=[1, 50], ids=["few", "many"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_rows_go_in_once_and_as_they_are(database: Database, count: int) -> None:
    rows = devices(count)
    with database.write() as session:
        assert insert_absent(session, DeviceRow, rows[:1]) == 1
        assert insert_absent(session, DeviceRow, rows) == count - 1
        assert insert_absent(session, DeviceRow, devices(count, "other")[:1]) == 0
        assert insert_absent(session, DeviceRow, []) == 0
    with database.read() as session:
        stored = session.scalars(select(DeviceRow).order_by(DeviceRow.registered_at)).all()
    assert {row.id for row in stored} == {f"device_{number}" for number in range(count)}
    assert {(row.serial, row.registered_at, row.last_seen) for row in stored} == {(STRANGE, AT, AT)}
    assert {row.quarantined_at for row in stored} == {None}


def test_rows_are_replaced_by_their_key(database: Database, count: int) -> None:
    with database.write() as session:
        insert_or_replace(session, DeviceRow, devices(count), ("id",))
        insert_or_replace(session, DeviceRow, devices(count + 1, "other"), ("id",))
    with database.read() as session:
        assert set(session.scalars(select(DeviceRow.serial))) == {"other"}
        assert len(session.scalars(select(DeviceRow.id)).all()) == count + 1


def test_each_row_gets_its_own_values(database: Database, count: int) -> None:
    with database.write() as session:
        insert_absent(session, DeviceRow, devices(count + 1))
        changes = [
            {"id": f"device_{number}", "fruitless": number, "rests_until": AT}
            for number in range(count)
        ]
        update_each(session, DeviceRow, changes, "id")
        update_each(session, DeviceRow, [], "id")
    with database.read() as session:
        found = session.execute(select(DeviceRow.id, DeviceRow.fruitless, DeviceRow.rests_until))
        assert {tuple(row) for row in found} == {
            *((f"device_{number}", number, AT) for number in range(count)),
            (f"device_{count}", 0, None),
        }


def test_bytes_come_back(database: Database) -> None:
    content = bytes(range(256))
    rows = [{"sha256": f"{n:064}", "created_at": AT, "content": content} for n in range(9)]
    with database.write() as session:
        assert insert_absent(session, ModelRow, rows) == 9
    with database.read() as session:
        assert set(session.scalars(select(ModelRow.content))) == {content}
