"""Python in the docs that no test runs names what there is."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from device_agent.runners.base import Runner
from tests.docs.pages import Block, all_blocks

PYTHON = [block for block in all_blocks() if block.language == "python"]


def where(block: Block) -> str:
    return block.where


@pytest.mark.parametrize("block", PYTHON, ids=where)
def test_what_is_imported_exists(block: Block) -> None:
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if not hasattr(importlib.import_module(node.module), alias.name)
    ]
    assert missing == []


def test_the_runner_that_a_page_shows_has_the_methods_of_ours() -> None:
    (block,) = [one for one in PYTHON if "class Runner(" in one.text]
    (shown,) = ast.parse(block.text).body
    assert isinstance(shown, ast.ClassDef)
    methods = {
        node.name: [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
        for node in shown.body
        if isinstance(node, ast.FunctionDef)
    }
    ours = {
        name: list(inspect.signature(method).parameters)
        for name, method in vars(Runner).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    assert methods == ours
