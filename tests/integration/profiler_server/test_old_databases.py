"""A database filled by an earlier version: up with all its data, in use, and down again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from netspec.wire import Snapshot
from profiler_server.app import create_app
from profiler_server.auth import service as auth
from profiler_server.auth import tokens
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import old_databases
from tests.integration.profiler_server.postgres import Postgres
from tests.integration.profiler_server.service import Api, read


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of that version."""
    if request.param == "sqlite":
        with closing(Database(f"sqlite:///{tmp_path / 'profiler.db'}")) as made:
            old_databases.fill(made, tmp_path / "dumped.db")
            yield made
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database(migrated=False) as url, closing(Database(url)) as made:
        old_databases.fill(made, tmp_path / "dumped.db")
        yield made


def test_it_goes_up_with_all_its_data_and_down_again(old: Database) -> None:
    before = old_databases.content(old)
    assert sum(map(len, before.values())) > 40
    schema.upgrade(old)
    # Filled anew by the next upload: nobody kept these by device.
    derived = "profiled_networks"
    kept = {name: rows for name, rows in before.items() if name != derived}
    assert old_databases.content(old, kept) == kept
    schema.downgrade(old, old_databases.REVISION)
    assert old_databases.content(old, kept) == kept
    assert {name for name, rows in old_databases.content(old).items()} == set(before)
    schema.upgrade(old)
    assert old_databases.content(old, kept) == kept


def test_it_is_served(old: Database, tmp_path: Path) -> None:
    before = old_databases.content(old)
    job_ids = {row["name"]: row["id"] for row in before["jobs"]}
    (snapshot,) = before["snapshots"]
    schema.upgrade(old)
    url = old.engine.url.render_as_string(hide_password=False)
    settings = Settings(database_url=url, server_key_file=tmp_path / "server.key")
    with old.write() as session:
        key = tokens.server_key(settings.server_key_file)
        token = auth.create(session, key, "test", (Scope.ADMIN,), None)
    with TestClient(create_app(settings)) as http:
        api = Api(http, token)
        assert api.job(job_ids["job"]).state == "done"
        assert api.job(job_ids["open"]).state == "running"
        assert {entry.method for entry in api.entries(job_ids["job"])} == {"isolated"}
        assert len(api.entries(job_ids["job"])) == 6
        answer = api.call("GET", f"/v1/snapshots/{snapshot['id']}")
        # The sixth is the network's; a snapshot holds operators.
        assert len(read(Snapshot, answer).entries) == 5
        kinds = {event["kind"] for event in api.call("GET", "/v1/events").json()}
        assert "job_created" in kinds
