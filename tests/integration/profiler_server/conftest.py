from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from profiler_server.app import create_app
from profiler_server.auth import service as auth
from profiler_server.auth import tokens
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.metadata import metadata
from tests.integration.profiler_server.compiled import compiled_once
from tests.integration.profiler_server.postgres import CannotStart, Postgres, running
from tests.integration.profiler_server.service import Api

#: an application on the test's database, with some settings changed
MakeApi = Callable[..., Api]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what takes seconds to collect only to be deselected."""
    nightly = config.option.markexpr != "not nightly"
    return True if collection_path.name == "test_many_requests.py" and not nightly else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the second database to nightly runs where what is tested knows of none."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        second = parameters.get("database_url") == "postgresql"
        if second and item.get_closest_marker("one_database"):
            item.add_marker(pytest.mark.nightly)


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "data"))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv(URL_VARIABLE, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _statements_compiled_once() -> Iterator[None]:
    with compiled_once():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests of this process."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except CannotStart as error:
            pytest.skip(f"PostgreSQL does not start here: {error}")
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with an up-to-date schema; to copy it takes less time than to migrate."""
    file = tmp_path_factory.mktemp("migrated") / "profiler.db"
    with closing(Database(f"sqlite:///{file}")) as made:
        metadata()
        schema.upgrade(made)
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database of each kind that is served, with an up-to-date schema."""
    if request.param == "sqlite":
        file = tmp_path / "profiler.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, server_key_file=tmp_path / "server.key")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The test's database with an up-to-date schema."""
    metadata()
    made = Database(settings.database_url)
    if schema.current_revision(made) != schema.wanted_revision():
        schema.upgrade(made)
    yield made
    made.close()


@pytest.fixture
def make_token(database: Database, settings: Settings) -> Callable[..., str]:
    def make(*scopes: Scope, days: float | None = None) -> str:
        key = tokens.server_key(settings.server_key_file)
        with database.write() as session:
            return auth.create(session, key, "test", scopes, days)

    return make


@pytest.fixture
def make_api(settings: Settings, make_token: Callable[..., str]) -> Iterator[MakeApi]:
    with ExitStack() as stack:

        def make(**changed: object) -> Api:
            app = create_app(settings.model_copy(update=changed))
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            return Api(client, make_token(Scope.ADMIN))

        yield make


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """The application in this process, asked with every scope."""
    return make_api()


@pytest.fixture
def empty_postgresql(postgres: Postgres) -> Iterator[str]:
    """Another PostgreSQL database without tables."""
    with postgres.database(migrated=False) as url:
        yield url


@pytest.fixture
def commands_on_this_database(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`profiler-server` has the database of the API."""
    assert api
    monkeypatch.setenv("PROFILER_DATABASE_URL", settings.database_url)
