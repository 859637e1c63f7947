"""What `--help` says: every option has a meaning, and what it gives as an example works."""

from __future__ import annotations

import re

import pytest
import typer
from typer.core import TyperCommand, TyperOption

from scripts.site.commands import APPS, command_page, commands_of, examples_of
from search_client.recipe import read_recipe
from tests.docs.command_lines import commands_in, problem_of

COMMANDS = {
    " ".join(path): command
    for name, app in APPS.items()
    for path, command in commands_of(typer.main.get_group(app), (name,))
}
NAMES = sorted(COMMANDS)
_REPEATED = re.compile(r"several|may be repeated|one for each")


def options(command: TyperCommand) -> list[TyperOption]:
    return [one for one in command.params if isinstance(one, TyperOption)]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_meaning(name: str) -> None:
    assert [one.name for one in options(COMMANDS[name]) if not one.help] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_repeated_says_so(name: str) -> None:
    silent = [
        one.name
        for one in options(COMMANDS[name])
        if one.multiple and not _REPEATED.search(one.help or "")
    ]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_an_example_that_exists(name: str) -> None:
    found = list(commands_in("\n".join(examples_of(COMMANDS[name]))))
    assert found
    for words in found:
        assert " ".join(words).startswith(name)
        assert problem_of(words) == ""


def test_examples_stand_on_lines_of_their_own_in_the_reference() -> None:
    page = command_page()
    assert "[bold]" not in page
    assert "```sh\nprofiler-server serve\nprofiler-server serve --host 0.0.0.0" in page
    for name, command in COMMANDS.items():
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert "```sh\n" + "\n".join(examples_of(command)) + "\n```" in section


@pytest.mark.parametrize(
    "name", [name for name in NAMES if any("--set" in one.opts for one in options(COMMANDS[name]))]
)
def test_the_example_of_set_is_a_value_that_there_is(name: str) -> None:
    (option,) = [one for one in options(COMMANDS[name]) if "--set" in one.opts]
    (example,) = re.findall(r"[\w.]+=\w+", option.help or "")
    assert read_recipe("demo", [example]) != read_recipe("demo")
