"""What a block of shell starts, and whether the programs know what they are told."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache

import typer

from scripts.site.commands import APPS
from tests.docs.pages import ROOT, all_blocks

#: programs of others that the docs use; their options are not checked
OTHERS = {
    "adb", "apt", "cd", "createdb", "curl", "docker", "export", "mkdir", "pg_restore", "pip",
    "python", "python3.11", "torchrun", "udevadm", ".",
}  # fmt: skip
#: those of them that start ours
STARTERS = {"docker", "torchrun"}
_ASSIGNMENT = re.compile(r"^\w+=")
_OPERATORS = set(";&|()<>")


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every command in shell text, assignments before it left out."""
    for line in _whole_lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if not token or set(token) - _OPERATORS:
                words.append(token)
                continue
            while words and _ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                yield words
            words = []


def _whole_lines(text: str) -> Iterator[str]:
    """Lines with those that go on: after a backslash, or inside of quotes."""
    held = ""
    for line in text.splitlines():
        held += line
        if held.endswith("\\"):
            held = held[:-1]
            continue
        try:
            shlex.split(held, comments=True)
        except ValueError:
            held += "\n"
            continue
        yield held
        held = ""
    if held:
        yield held


def problem_of(words: list[str]) -> str:
    """What does not exist of a command; empty if all of it does."""
    words = [word.removeprefix(".venv/bin/") for word in words]
    name = words[0]
    for place, word in enumerate(words):
        if word in APPS and (place == 0 or name in STARTERS):
            return _problem_of_ours(word, words[place + 1 :])
    if "scripts/" in name:
        return "" if (ROOT / name).exists() else f"no script {name}"
    if name == "python" and len(words) > 1 and words[1].endswith(".py"):
        written = {block.title for block in all_blocks()}
        return "" if words[1] in written or (ROOT / words[1]).exists() else f"no file {words[1]}"
    return "" if name.rpartition("/")[2] in OTHERS or name in OTHERS else f"no program {name}"


@cache
def _command(name: str) -> object:
    """A program of ours; to make it of its functions takes 20 ms."""
    return typer.main.get_command(APPS[name])


def _problem_of_ours(name: str, words: list[str]) -> str:
    words = list(words)
    command: object = _command(name)
    while words and not words[0].startswith("-") and isinstance(command, typer.core.TyperGroup):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {"--help"}
    for one in getattr(command, "params", []):
        known |= {*one.opts, *one.secondary_opts}
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return ", ".join(f"no option {option}" for option in options if option not in known)
