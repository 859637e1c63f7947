"""The blocks of code in the documentation, with what a mark above each says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.site.rest import RESOURCES

ROOT = Path(__file__).parents[2]
#: written by `scripts/docs`; they hold no blocks that a user would copy
GENERATED = {
    f"docs/reference/{name}.md"
    for name in (
        *("commands", "settings", "recipes", "spaces", "problems", "rest", "rest-messages"),
        *(f"rest-{tag}" for tag in RESOURCES),
    )
}
SHELL = {"sh", "console", "bash", "shell"}

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!-- (?P<what>run in the background|run|not run: (?P<reason>[^>]+)) -->\n$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    #: name of the file that a reader is told to save it as; empty for none
    title: str
    text: str
    #: `run`, `run in the background`, `not run`, or empty where no mark stands above it
    mark: str
    #: why it is not run
    reason: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README and every page that people write."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if name_of(path) not in GENERATED]


def without_shell(text: str) -> str:
    """A page without its blocks of shell and of configuration."""
    return _FENCE.sub(lambda match: "" if match["language"] in {*SHELL, "ini"} else match[0], text)


def name_of(path: Path) -> str:
    """As in `Block.page`."""
    return str(path.relative_to(ROOT))


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _FENCE.finditer(text):
        above = _MARK.search(text[: match.start()])
        indent = len(match["indent"])
        lines = [line[indent:] for line in match["text"].splitlines()]
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            title=match["title"] or "",
            text="\n".join(lines) + "\n",
            mark="" if above is None else above["what"].partition(":")[0],
            reason="" if above is None else above["reason"] or "",
        )


@cache
def all_blocks() -> list[Block]:
    """Of every page."""
    return [
        block
        for path in pages()
        for block in blocks_of(name_of(path), path.read_text(encoding="utf-8"))
    ]
