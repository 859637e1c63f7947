"""Visits by month on PostgreSQL: made in time, filled, moved, taken down and up with data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update

from profiler_server.app import create_app
from profiler_server.entries.device_samples import LAUNCH_COLUMNS
from profiler_server.entries.partitions import AHEAD, ensure_partitions, name_of
from profiler_server.entries.rows import VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api
from tests.waiting import wait_for

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
LONG_AGO = datetime(2021, 5, 6, tzinfo=UTC)


def partitions(database: Database) -> dict[str, int]:
    """Rows of each partition of the visits."""
    with database.read() as session:
        names = session.scalars(
            text("SELECT relid::regclass::text FROM pg_partition_tree('visits') WHERE isleaf")
        ).all()
        return {
            name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608
            for name in names
        }


def fill(api: Api) -> dict[str, float]:
    """Stores visits; what the table says of their subjects."""
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(3), rounds=2))
    batch = farm.visits(api.claim(device), device, rounds=2)
    assert set(api.upload(batch)) == {"stored"}
    assert set(api.upload(batch)) == {"duplicate"}
    return {entry.name: entry.value_ms for entry in api.entries(job.id)}


def present(database: Database) -> Month:
    with database.read() as session:
        return Month.of(database_now(session))


def test_visits_go_to_their_month(api: Api, database: Database) -> None:
    fill(api)
    rows = partitions(database)
    assert rows[name_of(present(database))] == 6
    assert sum(rows.values()) == 6


def test_a_server_makes_the_months_to_come(settings: Settings, database: Database) -> None:
    last = name_of(present(database).plus(AHEAD))
    with database.write() as session:
        session.execute(text(f"DROP TABLE {last}"))
    assert last not in partitions(database)
    with TestClient(create_app(settings)):
        wait_for(lambda: last in partitions(database))


def test_what_had_no_partition_is_moved_when_it_gets_one(api: Api, database: Database) -> None:
    fill(api)
    with database.write() as session:
        session.execute(update(VisitRow).values(stored_at=LONG_AGO))
    assert partitions(database)["visits_default"] == 6
    month = Month.of(LONG_AGO)
    with database.write() as session:
        made = ensure_partitions(session, month)
    assert made == [month.plus(ahead) for ahead in range(AHEAD + 1)]
    rows = partitions(database)
    assert (rows[name_of(month)], rows["visits_default"]) == (6, 0)
    with database.write() as session:
        assert ensure_partitions(session, month) == []
    with database.read() as session:
        assert len(session.scalars(select(VisitRow.id)).all()) == 6


def test_the_way_down_and_up_keeps_every_visit(api: Api, database: Database) -> None:
    values = fill(api)
    with database.write() as session:
        first = session.scalars(select(VisitRow.id).limit(2)).all()
        old = update(VisitRow).where(VisitRow.id.in_(first)).values(stored_at=LONG_AGO)
        session.execute(old)

    # What came later goes on the way down.
    columns = [one for one in VisitRow.__table__.c if one.name not in LAUNCH_COLUMNS]

    def everything() -> list[tuple[object, ...]]:
        with database.read() as session:
            rows = session.execute(select(*columns).order_by(VisitRow.id))
            return [tuple(row) for row in rows]

    before = everything()
    schema.downgrade(database, "0020")
    with database.read() as session:
        kind = session.scalar(text("SELECT relkind FROM pg_class WHERE oid = 'visits'::regclass"))
    assert kind == "r"
    assert everything() == before
    schema.upgrade(database)
    assert everything() == before
    assert partitions(database)[name_of(Month.of(LONG_AGO))] == 2
    (job,) = api.call("GET", "/v1/jobs").json()
    assert {entry.name: entry.value_ms for entry in api.entries(job["id"])} == values


def test_busy_servers_do_not_wait_for_partitions(api: Api, database: Database) -> None:
    """Whoever holds the table is left alone; the months to come are made another time."""
    fill(api)
    last = name_of(present(database).plus(AHEAD))
    with database.write() as session:
        session.execute(text(f"DROP TABLE {last}"))
    with database.write() as busy:
        busy.execute(text("LOCK TABLE visits IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(Exception, match="lock timeout"), database.write() as session:
            ensure_partitions(session)
    with database.write() as session:
        assert len(ensure_partitions(session)) == 1
