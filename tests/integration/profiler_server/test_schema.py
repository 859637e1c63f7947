from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, literal_column, select, text, update
from sqlalchemy.exc import IntegrityError

from netspec.errors import UserError
from profiler_server.devices.rows import DeviceTargetRow
from profiler_server.events.rows import EventKind, EventRow
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.kit.sql.metadata import is_declared, metadata
from profiler_server.kit.sql.orm import UtcDateTime
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api


def test_the_migrations_make_what_the_code_declares(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": is_declared}
        )
        assert compare_metadata(context, metadata()) == []
    assert schema.current_revision(database) == schema.wanted_revision()


def test_the_migrations_go_down_and_up_again(database: Database) -> None:
    schema.downgrade(database, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    assert schema.current_revision(database) is None
    schema.upgrade(database)
    assert set(metadata().tables) < set(inspect(database.engine).get_table_names())


def test_rows_survive_the_way_down_and_up(api: Api, database: Database) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(farm.blocks(2)))
    api.claim(device)
    api.upload(farm.visits(api.claim(device), device, rounds=2))
    schema.downgrade(database, "0001")
    schema.upgrade(database)
    assert api.job(job.id).state == "done"
    with database.read() as session:
        about = session.execute(select(EventRow.kind, EventRow.job_id, EventRow.device_id)).all()
    assert (EventKind.JOB_CREATED, job.id, None) in about
    assert (EventKind.LEASE_CLAIMED, None, device) in about


@pytest.mark.parametrize("table", ["leases", "events", "tasks"])
def test_states_that_are_none_are_refused(api: Api, database: Database, table: str) -> None:
    """Also after migrations, which make a table anew on SQLite."""
    api.register(farm.registration())
    api.file(farm.job(farm.blocks(1)))
    api.claim(api.register(farm.registration()).id)
    column = "kind" if table == "events" else "state"
    change = update(metadata().tables[table]).values({column: literal_column("'nonsense'")})
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(change)


def test_foreign_keys_hold_also_after_a_migration(database: Database) -> None:
    def add_orphan() -> None:
        with database.write() as session:
            session.add(DeviceTargetRow(device_id="nobody", target_id="0" * 16, position=0))

    with pytest.raises(IntegrityError):
        add_orphan()
    schema.upgrade(database)
    with pytest.raises(IntegrityError):
        add_orphan()


def test_an_error_rolls_the_block_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.add(EventRow(at=database_now(session), kind=EventKind.JOB_CREATED, data="{}"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM events")) == 0


def test_times_come_back_as_they_went_and_the_clock_is_utc(database: Database) -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
    with database.write() as session:
        row = EventRow(at=at, kind=EventKind.JOB_CREATED, data="{}")
        session.add(row)
        session.flush()
        session.refresh(row)
        assert row.at == at
        assert abs(database_now(session) - datetime.now(UTC)) < timedelta(seconds=5)
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(at.replace(tzinfo=None), database.engine.dialect)


def test_sqlite_writers_wait_for_each_other(database: Database) -> None:
    """Both read before they write: without BEGIN IMMEDIATE the second would fail."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL locks rows")
    both = threading.Barrier(2)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            both.wait()
            with database.write() as session:
                now = database_now(session)
                session.scalar(text("SELECT count(*) FROM events"))
                time.sleep(0.05)
                session.add(EventRow(at=now, kind=EventKind.JOB_CREATED, data="{}"))
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM events")) == 2
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no database URL"),
        ("mysql+pymysql://x/y", "y"),
        ("sqlite://", "must be a file"),
        ("sqlite:////nowhere/at/all.db", "create it first"),
    ],
)
def test_bad_urls_are_told(url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Database(url)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "profiler.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="does not open"):
        Database(f"sqlite:///{path}").check()
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM sqlite_master")
