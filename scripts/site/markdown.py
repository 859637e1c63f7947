"""Pieces of Markdown that the generated pages share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_GENERATED = "<!-- Written by `scripts/docs` from {source}; changes here are lost. -->\n\n"


def page(title: str, source: str, parts: Iterable[str]) -> str:
    """A page that says where it comes from; `parts` are separated by blank lines."""
    return _GENERATED.format(source=source) + "\n\n".join([f"# {title}", *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; pipes and line ends in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(text) for text in line) + " |" for line in lines)


def cell(text: str) -> str:
    """Text that may stand in a table, where pipes part cells but for those in code."""
    parts = re.split(r"(`[^`]*`)", re.sub(r"\s*\n\s*", " ", text).strip())
    return "".join(part if part[:1] == "`" else part.replace("|", "\\|") for part in parts)


def code(text: object) -> str:
    """Inline code, also of text that holds backticks."""
    shown = str(text)
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"
