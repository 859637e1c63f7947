"""The pages of settings and of recipes: every field with its comment and its default."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from device_agent.transports import adb_server
from netspec.console import connection
from profiler_server.kit.settings import Settings as ServerSettings
from scripts.site.markdown import code, page, table
from search_client.recipe import Recipe

#: variables that are not fields of `ServerSettings`: programs, meaning, default
_SHARED = {
    connection.URL_VARIABLE: (
        "`device-agent`, `search-client`",
        "the profiler; `--profiler-url` wins",
        code(connection.DEFAULT_URL),
    ),
    connection.TOKEN_VARIABLE: (
        "`device-agent`, `search-client`",
        "the token that requests carry, to the server of `PROFILER_URL` alone where that is set",
        "the one in `tokens/` in the data folder that a server's first start on this machine left",
    ),
    connection.DATA_DIR_VARIABLE: (
        "all three",
        "the data folder: database, tokens, server key, models, spool, runners",
        "`proxyless-farm` in the user's data folder",
    ),
    connection.CACHE_DIR_VARIABLE: (
        "`search-client`, Python's client",
        "the cache folder: tables that can be fetched again",
        "`proxyless-farm` in the user's cache folder",
    ),
    adb_server.HOST_VARIABLE: (
        "`device-agent`",
        "the machine on which an adb server runs",
        code("127.0.0.1"),
    ),
    adb_server.PORT_VARIABLE: ("`device-agent`", "the port of that adb server", code("5037")),
}
#: defaults that the data folder decides
_IN_DATA_DIR = {"database_url": "`profiler.db`", "server_key_file": "`server.key`"}

_SETTINGS = (
    "All settings are environment variables; what a run does is in its [recipe](recipes.md). An "
    "impossible value ends the program with one line that names the variable."
)
_RECIPES = (
    "A recipe is a TOML file. Every value that it leaves out has the default given here, and each "
    "can be replaced on the command line: `--set search.joint_epochs=3`. "
    "[What they do in a run](../search.md)."
)


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    shared = [[code(name), *rest] for name, rest in _SHARED.items()]
    server = [
        [
            code(f"PROFILER_{name.upper()}"),
            comments(ServerSettings)[name],
            _IN_DATA_DIR[name] + " in the data folder"
            if name in _IN_DATA_DIR
            else default_of(ServerSettings, name),
        ]
        for name in ServerSettings.model_fields
    ]
    return page(
        "Settings",
        "`netspec/console/connection.py` and `profiler_server/kit/settings.py`",
        [
            _SETTINGS,
            "## Where the profiler is",
            table(["variable", "read by", "means", "default"], shared),
            "## The profiler server",
            table(["variable", "means", "default"], server),
        ],
    )


def recipe_page() -> str:
    """`docs/reference/recipes.md`."""
    parts = [_RECIPES]
    models: list[tuple[str, type[BaseModel]]] = [("At the top", Recipe), *_tables(Recipe)]
    for name, model in models:
        parts += [f"## {name}", inspect.getdoc(model) or "", _values(model)]
    return page("Recipes", "`search_client/recipe.py`", parts)


def _tables(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables of a recipe by their dotted names; one that has kinds comes once for each."""
    for name, field in model.model_fields.items():
        inner = _models_in(field.annotation)
        for one in inner:
            kind = f', kind = "{one.model_fields["kind"].default}"' if len(inner) > 1 else ""
            yield f"[{path}{name}]{kind}", one
            yield from _tables(one, f"{path}{name}.")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field holds one of; none for a list of them."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) in {Union, UnionType, Annotated}:
        return [model for choice in get_args(annotation) for model in _models_in(choice)]
    return []


def _values(model: type[BaseModel]) -> str:
    said = comments(model)
    rows = [
        [code(name), said[name] or field.description or "", default_of(model, name)]
        for name, field in model.model_fields.items()
        if not _models_in(field.annotation)
    ]
    return table(["value", "is", "default"], rows)


def default_of(model: type[BaseModel], name: str) -> str:
    """A field's default as a page shows it."""
    default = model.model_fields[name].get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if default is None or default == ():
        return "none"
    return code(_written(default))


def _written(value: object) -> str:
    """A value as TOML has it, a model without what it leaves at its default."""
    if isinstance(value, BaseModel):
        fields = value.model_dump(mode="json").items()
        return "{ " + ", ".join(f"{name} = {_written(one)}" for name, one in fields) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_written, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def comments(model: type[BaseModel]) -> dict[str, str]:
    """The `#:` comment above each field of a model, its base models' included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _comments_in(base)
    return found


def _comments_in(model: type[BaseModel]) -> dict[str, str]:
    path = Path(inspect.getfile(model))
    lines = path.read_text(encoding="utf-8").splitlines()
    (body,) = [
        node.body
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.ClassDef) and node.name == model.__name__
    ]
    return {
        statement.target.id: _above(lines, statement.lineno - 1)
        for statement in body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def _above(lines: list[str], index: int) -> str:
    """The block of `#:` and the comment lines that go on with it, which ends before `index`."""
    first = index
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    said = [line.strip().lstrip("#").removeprefix(":").strip() for line in lines[first:index]]
    return " ".join(said)
