from __future__ import annotations

import re
from contextlib import closing

import pytest
from typer.testing import CliRunner

from netspec.connection import load_token, save_token, token_path
from netspec.errors import UserError
from profiler_server import cli
from profiler_server.kit.database import Database
from profiler_server.kit.settings import Settings
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
        (["serve", "--host", "256.1.1.1"], "no address to listen on"),
        (["serve", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["token", "list"], "profiler-server migrate"),
        (["rederive"], "profiler-server migrate"),
    ],
)
def test_mistakes_are_told(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        run(*arguments)


def test_a_schema_is_migrated_once() -> None:
    assert run("migrate").startswith("schema 0")
    assert "already" in run("migrate")


def test_tokens_are_made_listed_and_revoked() -> None:
    run("migrate")
    token = run("token", "create", "--name", "farm", "--scope", "agent", "--days", "9").strip()
    assert token.startswith("pfs_")
    listed = run("token", "list")
    assert token not in listed
    (row,) = [line for line in listed.splitlines() if "farm" in line]
    token_id = row.split()[0]
    assert "revoked" in run("token", "revoke", token_id)
    with pytest.raises(UserError, match="token list"):
        run("token", "revoke", token_id)


def test_a_token_is_saved_on_request() -> None:
    run("migrate")
    with pytest.raises(UserError, match="no token"):
        load_token()
    made = run("token", "create", "--name", "me", "--scope", "admin", "--save").strip()
    assert load_token() == made


def test_a_lost_or_foreign_token_is_told_at_the_start() -> None:
    run("migrate")
    settings = Settings.from_environment()
    with closing(Database(settings.database_url)) as database:
        made = first_token(database, settings)
        assert made.endswith(load_token())
        assert first_token(database, settings) == f"token: the one in {token_path()}"
        token_path().unlink()
        assert "no token in" in first_token(database, settings)
        save_token("pfs_foreign")
        said = first_token(database, settings)
    assert "not valid here" in said
    assert "profiler-server token create" in said


def test_rederive_says_how_many(api: Api, settings: Settings) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    said = run("rederive", "--database-url", settings.database_url)
    assert said == "3 entries derived (3 before)\n"


def test_help_has_examples() -> None:
    for arguments in ((), ("serve",), ("token", "create")):
        assert "profiler-server" in run(*arguments, "--help").split("xample", 1)[1]
