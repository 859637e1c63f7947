"""The SQL that PostgreSQL would get, where it differs from SQLite's."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from profiler_server.kit.sql.metadata import metadata
from profiler_server.leases.queue_repository import queued_tasks

POSTGRESQL = make_url("postgresql+psycopg://").get_dialect()()
SQLITE = make_url("sqlite://").get_dialect()()


def test_postgresql_skips_rows_that_others_have_locked() -> None:
    queued = queued_tasks("device", ["isolated"], ["target"], datetime.now(UTC))
    assert str(queued.compile(dialect=POSTGRESQL)).endswith("FOR UPDATE OF tasks SKIP LOCKED")
    assert "FOR UPDATE" not in str(queued.compile(dialect=SQLITE))


def test_every_table_and_partial_index_renders_for_postgresql() -> None:
    for table in metadata().sorted_tables:
        assert str(CreateTable(table).compile(dialect=POSTGRESQL))
    (live,) = [
        index
        for index in metadata().tables["leases"].indexes
        if index.name == "uq_leases_live_device"
    ]
    rendered = str(CreateIndex(live).compile(dialect=POSTGRESQL))
    assert rendered.startswith("CREATE UNIQUE INDEX")
    assert rendered.endswith("WHERE state = 'live'")


def test_fences_events_failures_and_deliveries_count_in_64_bits_on_postgresql() -> None:
    made = [
        str(CreateTable(table).compile(dialect=POSTGRESQL)) for table in metadata().sorted_tables
    ]
    assert sum("BIGSERIAL" in statement for statement in made) == 4
