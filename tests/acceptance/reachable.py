"""Which names a function uses, and those use, all through our own modules."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("netspec", "search_client", "device_agent", "profiler_server")


def reachable(module: str, name: str) -> set[str]:
    """Everything that a function's code names, as `module.name`, ours and others'."""
    seen: set[str] = set()
    waiting = [(module, name)]
    while waiting:
        where, what = waiting.pop()
        if f"{where}.{what}" not in seen:
            seen.add(f"{where}.{what}")
            if is_ours(where):
                waiting += _used(where, what)
    return seen


@cache
def is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in ROOMS and _source(module) is not None


def _source(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.exists()), None)


@cache
def _tree(module: str) -> ast.Module:
    source = _source(module)
    assert source is not None
    return ast.parse(source.read_text(encoding="utf-8"))


@cache
def _imported(module: str) -> dict[str, tuple[str, str]]:
    """What each name stands for that an import binds: a module and a name in it."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


@cache
def _defined(module: str) -> dict[str, ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: node for node in _tree(module).body if isinstance(node, kinds)}


@cache
def _used(module: str, name: str) -> tuple[tuple[str, str], ...]:
    imported, defined = _imported(module), _defined(module)
    if name not in defined:
        return (imported[name],) if name in imported else ()
    used: list[tuple[str, str]] = []
    for node in ast.walk(defined[name]):
        if isinstance(node, ast.Name) and node.id in imported:
            used.append(imported[node.id])
        elif isinstance(node, ast.Name) and node.id in defined:
            used.append((module, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            package, inside = imported.get(node.value.id, ("", ""))
            used.append((f"{package}.{inside}", node.attr))
    return tuple(used)
