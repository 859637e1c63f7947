"""Links lead somewhere, and commands that are mentioned exist, also in error messages."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

from device_agent.phones.systems.android_checks import OLDEST_SDK
from scripts.site.commands import APPS
from tests.docs.command_lines import commands_in, problem_of
from tests.docs.pages import GENERATED, ROOT, SHELL, all_blocks, name_of, pages

PAGES = [ROOT / "CHANGELOG.md", *pages()]
ROOMS = ("netspec", "profiler_server", "device_agent", "search_client")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_IN_QUOTES = re.compile(rf"`((?:{'|'.join(APPS)})(?: [^`\n]*)?)`")
#: a file or a folder of the source, as prose names it
_SOURCE = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|yml)|(?:[a-z_]+/)+)`")
_FILE = re.compile(r"(?:\./|python )((?:scripts|benchmarks)/[\w./-]+)")


def mentioned(path: Path) -> list[list[str]]:
    """The words of each command in backticks."""
    found = _IN_QUOTES.findall(path.read_text(encoding="utf-8"))
    return [shlex.split(line.removesuffix("...")) for line in found]


def leads_somewhere(page: Path, link: str) -> bool:
    aim = page.parent / link.partition("#")[0]
    return aim.exists() or name_of(aim.resolve()) in GENERATED


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if "://" not in link and link[0] != "#"]
    missing = [link for link in links if not leads_somewhere(page, link)]
    missing += [file for file in _FILE.findall(text) if not (ROOT / file).exists()]
    assert missing == []


def exists(name: str) -> bool:
    """Whether a file or folder of the repository has this name, from its root or from a room on."""
    return any((ROOT / room / name).exists() for room in ("", *ROOMS))


def messages(path: Path) -> list[str]:
    """The texts of a module, joined as Python joins them; what is filled in is left out."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = [one.value for one in nodes if isinstance(one, ast.Constant)]
    parts = [one.values for one in nodes if isinstance(one, ast.JoinedStr)]
    filled = [
        "".join(str(one.value) if isinstance(one, ast.Constant) else "\0" for one in values)
        for values in parts
    ]
    return [text for text in (*plain, *filled) if isinstance(text, str)]


def test_messages_that_troubleshooting_quotes_are_those_of_the_programs() -> None:
    said = [text for path in SOURCES for text in messages(path)]
    said += [
        path.read_text(encoding="utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.j2")
    ]
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    symptoms = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    quoted = [text for one in symptoms for text in re.findall("`([^`]+)`", one)]
    own_words = [text for text in quoted if not text.startswith(tuple(APPS))]
    assert len(own_words) > 15
    everything = "\n".join(said)
    assert [text for text in own_words if text not in everything] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_source_that_prose_names_exists(page: Path) -> None:
    written = {block.title for block in all_blocks()}
    named = set(_SOURCE.findall(page.read_text(encoding="utf-8"))) - written
    assert {name for name in named if not exists(name)} == set()


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=name_of)
def test_commands_and_their_options_exist(path: Path) -> None:
    found = mentioned(path)
    wrong = {" ".join(words): problem for words in found if (problem := problem_of(words))}
    assert wrong == {}


def test_every_command_is_in_the_docs() -> None:
    written = {" ".join(words[:2]) for page in PAGES for words in mentioned(page)}
    for block in all_blocks():
        if block.language in SHELL:
            written |= {" ".join(words[:2]) for words in commands_in(block.text)}
    for name, app in APPS.items():
        for command in set(typer.main.get_group(app).commands) - {"token"}:
            assert f"{name} {command}" in written


def test_the_readme_shows_every_room_and_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {f"{room}/" for room in (*ROOMS, "migrations", "tests", "benchmarks", "docs")} <= {
        link + "/" for link in _LINK.findall(text)
    }
    started = {
        words[0].removeprefix(".venv/bin/")
        for block in all_blocks()
        if block.page == "README.md" and block.language in SHELL
        for words in commands_in(block.text)
    }
    assert set(APPS) <= started
    for name in ("demo", "test"):
        assert f"./scripts/{name}" in text


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(_LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert listed >= {path.name for path in folder.glob("*.md")} - {"README.md"}


def test_decisions_are_not_in_the_sites_search() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert path.read_text(encoding="utf-8").startswith("---\nsearch:\n  exclude: true\n---\n")


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    hidden = [
        name
        for path in pages()
        if (name := name_of(path).removeprefix("docs/")) != "README.md"
        and "decisions/" not in name
        and f'"{name}"' not in navigation
    ]
    assert hidden == []


def test_copied_figures_are_those_of_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "explanation" / "trust.md").read_text(encoding="utf-8")
    rows = page.partition("| figure | measured |")[2].partition("\n\n")[0].splitlines()[2:]
    figures = {row.strip(" |").rpartition("|")[2].strip() for row in rows}
    assert len(figures) > 2
    # Bold figures there are not what was wanted.
    plain = results.replace("**", "")
    cells = {cell.strip() for row in plain.splitlines() for cell in row.split("|")}
    assert figures - cells == set()


def test_every_page_names_the_oldest_android_that_doctor_takes() -> None:
    apis = {
        (name_of(page), int(api))
        for page in pages()
        for api in re.findall(
            r"(?:\(API |before API )(\d+)\)? (?:or later|\(`warn`)", page.read_text("utf-8")
        )
    }
    assert {page for page, _ in apis} >= {"docs/agent.md", "docs/how-to/your-phone.md"}
    assert {api for _, api in apis} == {OLDEST_SDK}
