"""No room left: a clear problem, nothing broken, and all is well once there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from netspec.wire import Visit, VisitBatch
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api
from tests.integration.profiler_server.survival.conftest import Start
from tests.integration.profiler_server.survival.stored import check_exactly_once

#: pages (4 KiB) of SQLite's that are as good as endless
ENDLESS = 2**30
#: room on the tiny disk, MB; the empty schema takes less
TINY_MB = 3


def limit_pages(file: Path) -> None:
    """Makes SQLite believe that its disk has as many pages as the file says."""

    @event.listens_for(Pool, "checkout")
    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {file.read_text(encoding='ascii')}")


def fill(api: Api, *, raw: str) -> tuple[list[Visit], VisitBatch]:
    """Uploads until there is no room: what was accepted, and what was not."""
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(20), rounds=1_000))
    lease = api.claim(device)
    accepted: list[Visit] = []
    for _ in count():
        batch = VisitBatch(
            visits=tuple(
                visit.model_copy(update={"raw": raw})
                for visit in farm.visits(lease, device, rounds=1).visits
            )
        )
        answer = api.http.post(
            "/v1/visits:batch",
            content=batch.model_dump_json(),
            headers={**api.headers, "Content-Type": "application/json"},
        )
        if answer.status_code != httpx2.codes.OK:
            assert (answer.status_code, answer.json()["type"]) == (507, "/problems/storage-full")
            return accepted, batch
        accepted += batch.visits
    raise AssertionError


def check_intact(database: Database, api: Api, accepted: list[Visit]) -> None:
    """What was accepted is there, and can be read."""
    api.call("GET", "/readyz")
    assert api.call("GET", "/v1/targets").status_code == 200
    check_exactly_once(database, accepted)
    if database.is_sqlite:
        with database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"


def test_sqlite_without_pages(start: Start, database: Database, token: str, tmp_path: Path) -> None:
    if not database.is_sqlite:
        pytest.skip("pages are SQLite's")
    limit = tmp_path / "pages"
    with database.read() as session:
        used = session.scalar(text("PRAGMA page_count")) or 0
    limit.write_text(str(used + 100), encoding="ascii")
    server = start(hook=partial(limit_pages, limit))
    with httpx2.Client(base_url=server.url, timeout=40) as client:
        api = Api(client, token)
        accepted, refused = fill(api, raw="x" * 4_000)
        assert accepted
        check_intact(database, api, accepted)
        limit.write_text(str(ENDLESS), encoding="ascii")
        assert set(api.upload(refused)) == {"stored"}
        check_intact(database, api, [*accepted, *refused.visits])


def test_postgresql_that_says_its_disk_is_full(
    start: Start, database: Database, token: str
) -> None:
    """A trigger raises what PostgreSQL raises when a table cannot grow (SQLSTATE 53100)."""
    if database.is_sqlite:
        pytest.skip("SQLite has no such error")
    server = start()
    with httpx2.Client(base_url=server.url, timeout=40) as client:
        api = Api(client, token)
        with database.write() as session:
            session.execute(
                text(
                    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "IF (SELECT count(*) FROM visits) > 100 THEN "
                    "RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END IF; "
                    "RETURN NULL; END $$"
                )
            )
            session.execute(
                text(
                    "CREATE TRIGGER no_room AFTER INSERT ON visits "
                    "FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
                )
            )
        accepted, refused = fill(api, raw="")
        assert len(accepted) == 100
        check_intact(database, api, accepted)
        with database.write() as session:
            session.execute(text("DROP TRIGGER no_room ON visits"))
        assert set(api.upload(refused)) == {"stored"}
        check_intact(database, api, [*accepted, *refused.visits])


class TestOnATinyDisk:
    """A real file system that runs full."""

    @pytest.fixture
    def database_url(self, tmp_path: Path) -> Iterator[str]:
        folder = tmp_path / "tiny"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={TINY_MB}m", "none", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a file system")
        try:
            yield f"sqlite:///{folder / 'profiler.db'}"
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def test_sqlite(self, start: Start, database: Database, settings: Settings, token: str) -> None:
        with (
            start() as server,
            httpx2.Client(base_url=server.url, timeout=40) as client,
        ):
            api = Api(client, token)
            accepted, refused = fill(api, raw="x" * 4_000)
            assert accepted
            check_intact(database, api, accepted)
            folder = Path(settings.database_url.removeprefix("sqlite:///")).parent
            grow = ["mount", "-o", f"remount,size={10 * TINY_MB}m", str(folder)]
            subprocess.run(grow, check=True)
            assert set(api.upload(refused)) == {"stored"}
            check_intact(database, api, [*accepted, *refused.visits])
            database.close()
