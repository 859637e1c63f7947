"""Links lead somewhere, and commands that are written down exist, also in error messages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

import device_agent.cli
import profiler_server.cli
import search_client.cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = ("netspec", "profiler_server", "device_agent", "search_client")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
APPS = {
    "profiler-server": profiler_server.cli.app,
    "device-agent": device_agent.cli.app,
    "search-client": search_client.cli.app,
}

_NAMES = "|".join(APPS)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
#: a line of a code block: fenced lines begin at the margin, others with four spaces
_IN_BLOCK = re.compile(rf"^(?:    )?(?:\.venv/bin/)?((?:{_NAMES})(?: [^#\n]*)?)", re.MULTILINE)
_IN_QUOTES = re.compile(rf"`((?:{_NAMES})(?: [^`\n]*)?)`")
_FILE = re.compile(r"(?:\./|python )((?:scripts|benchmarks)/[\w./-]+)")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    found = _IN_QUOTES.findall(text)
    if path.suffix == ".md":
        found += _IN_BLOCK.findall(text)
    return [line.strip() for line in found]


def problem_of(line: str) -> str:
    """What does not exist of a command line; empty if all of it does."""
    name, *words = shlex.split(line.removesuffix("..."))
    command = typer.main.get_command(APPS[name])
    while words and not words[0].startswith("-") and isinstance(command, typer.core.TyperGroup):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {"--help", *(option for one in command.params for option in one.opts)}
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    return ", ".join(f"no option {option}" for option in options if option not in known)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if "://" not in link and link[0] != "#"]
    missing = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    missing += [file for file in _FILE.findall(text) if not (ROOT / file).exists()]
    assert missing == []


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=relative)
def test_commands_and_their_options_exist(path: Path) -> None:
    wrong = {line: problem for line in commands(path) if (problem := problem_of(line))}
    assert wrong == {}


def test_every_command_is_in_the_docs() -> None:
    written = {" ".join(line.split()[:2]) for page in PAGES for line in commands(page)}
    for name, app in APPS.items():
        group = typer.main.get_group(app)
        for command in set(group.commands) - {"token"}:
            assert f"{name} {command}" in written


def test_the_readme_shows_every_room_and_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {f"{room}/" for room in (*ROOMS, "migrations", "tests", "benchmarks", "docs")} <= {
        link + "/" for link in _LINK.findall(text)
    }
    assert {line.split()[0] for line in commands(ROOT / "README.md")} == set(APPS)
    for name in ("demo", "test"):
        assert f"./scripts/{name}" in text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("search-client search --data photos/ --run runs/mine", ""),
        ("search-client profile --calibrate 5", "no option --calibrate"),
        ("search-client find", "no command find"),
        ("profiler-server token create --name farm-1 --scope agent", ""),
        ("profiler-server token make", "no command make"),
    ],
)
def test_what_does_not_exist_is_seen(line: str, problem: str) -> None:
    assert problem_of(line) == problem
