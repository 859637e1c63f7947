"""Commands that print a table can print JSON, and then nothing else on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from netspec.console import command
from scripts.site.commands import APPS, commands_of
from tests.acceptance.commands import run
from tests.acceptance.reachable import reachable

TABLE = "rich.table.Table"


COMMANDS: dict[str, Any] = {
    " ".join(path): one
    for name, app in APPS.items()
    for path, one in commands_of(typer.main.get_group(app), (name,))
}
WITH_JSON = {
    name for name, one in COMMANDS.items() if any("--json" in each.opts for each in one.params)
}


@pytest.fixture(scope="module")
def with_tables() -> set[str]:
    """The commands that print a table."""
    return {
        name
        for name, one in COMMANDS.items()
        if TABLE in reachable(one.callback.__module__, one.callback.__name__)
    }


def test_commands_with_tables_are_found(with_tables: set[str]) -> None:
    assert {
        "search-client targets",
        "search-client search",
        "search-client compare",
        "search-client verify",
        "device-agent devices",
        "profiler-server token list",
    } <= with_tables
    assert not with_tables & {"search-client train", "profiler-server serve", "device-agent run"}


def test_what_is_a_table_can_be_json(with_tables: set[str]) -> None:
    assert with_tables - WITH_JSON == set()


@pytest.mark.parametrize("name", sorted(WITH_JSON))
def test_there_is_one_way_to_ask_for_json_and_one_to_print_it(name: str) -> None:
    callback = COMMANDS[name].callback
    (option,) = [one for one in COMMANDS[name].params if "--json" in one.opts]
    assert option.help == command.AsJson.__metadata__[0].help  # type: ignore[attr-defined]
    assert "netspec.console.command.print_json" in reachable(callback.__module__, callback.__name__)


def test_json_is_all_that_is_on_stdout(tmp_path: Path) -> None:
    data = {"PROFILER_DATA_DIR": str(tmp_path / "data")}
    database = f"sqlite:///{tmp_path}/profiler.db"
    assert run("profiler-server", "migrate", "--database-url", database, **data).returncode == 0
    given: list[list[str]] = [
        ["device-agent", "devices"],
        ["profiler-server", "token", "list", "--database-url", database],
        ["profiler-server", "recheck", "--database-url", database],
    ]
    for name, *arguments in given:
        said = run(name, *arguments, "--json", **data)
        assert said.returncode == 0, said.stderr
        assert json.dumps(json.loads(said.stdout))
