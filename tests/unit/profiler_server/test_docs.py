"""A command, endpoint, scope or problem that the docs do not name is not finished."""

from __future__ import annotations

from pathlib import Path

import typer

from profiler_server import cli
from profiler_server.app import create_app
from profiler_server.auth.scopes import Scope
from profiler_server.kit.problem_texts import MEANINGS
from profiler_server.kit.problems import KINDS
from profiler_server.kit.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "server.md"


def rows() -> set[str]:
    """First cells of the page's tables, without quotes; problems with their status."""
    found = set()
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            found.add(f"{cells[0]} {cells[1]}" if "/problems/" in cells[0] else cells[0])
    # Figures for Prometheus are compared with what is served.
    return {name for name in found if not name.startswith("profiler_")}


def test_every_problem_has_a_meaning() -> None:
    assert list(MEANINGS) == sorted(MEANINGS, key=list(KINDS).index)
    assert set(MEANINGS) == set(KINDS)


def test_the_docs_name_all_that_lists_are_filtered_and_sorted_by(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'x.db'}", server_key_file=tmp_path / "key"
    )
    rows_of = {
        line.split("`")[1]: line
        for line in DOCS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `GET") and line.count(" | ") == 2
    }
    lists = 0
    for path, methods in create_app(settings).openapi()["paths"].items():
        parameters = {one["name"]: one for one in methods.get("get", {}).get("parameters", ())}
        if "cursor" in parameters:
            lists += 1
            row = rows_of[f"GET {path}"]
            filters = [
                name
                for name, one in parameters.items()
                if one["in"] == "query" and name not in ("limit", "cursor", "sort")
            ]
            sorts = parameters["sort"]["schema"]["enum"]
            assert parameters["sort"]["schema"]["default"].strip("-") in row.split("|")[3]
            for name in (*filters, *(sort.strip("-") for sort in sorts)):
                assert f"{name}`" in row, (path, name)
    assert lists == len(rows_of)


def test_docs_and_code_name_the_same(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'x.db'}", server_key_file=tmp_path / "key"
    )
    paths = create_app(settings).openapi()["paths"]
    group = typer.main.get_group(cli.app)
    commands = set(group.commands) - {"token"}
    token = group.commands["token"]
    assert isinstance(token, typer.core.TyperGroup)
    assert rows() == {
        *(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods),
        *(f"/problems/{kind} {status}" for kind, (status, _) in KINDS.items()),
        *Scope,
        *(f"profiler-server {name}" for name in commands),
        *(f"profiler-server token {name}" for name in token.commands),
    }
