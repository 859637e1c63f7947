"""Reads a built site: every link leads somewhere, and nothing is loaded from outside.

Zensical checks what the Markdown says; this checks what came out of it, with the anchors that
the reference makes and what the theme adds.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: attributes by which a browser fetches something without being asked
_LOADED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("object", "data"),
    ("link", "href"),
}
#: links that load nothing
_ONLY_NAMED = {"canonical", "prev", "next", "alternate", "author", "license", "edit"}
_IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


class Page(HTMLParser):
    """What a page links to, loads and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each element."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        named = tag == "link" and set(values.get("rel", "").split()) & _ONLY_NAMED
        if not named:
            self.loaded += [value for name, value in values.items() if (tag, name) in _LOADED]


def problems_of(site: Path) -> list[str]:
    """Everything that is wrong in a built site, one line each."""
    paths = sorted(site.rglob("*.html"))
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}
    problems = [f"{site} holds no pages"] if not pages else []
    for path, page in pages.items():
        where = path.relative_to(site)
        problems += [
            f"{where}: {problem}: {link}"
            for link in page.links + page.loaded
            if (problem := _problem(link, path, site, pages))
        ]
        problems += [f"{where} loads {link}" for link in page.loaded if urlsplit(link).netloc]
    for path in sorted(site.rglob("*.css")):
        found = _IN_STYLE.findall(path.read_text(encoding="utf-8"))
        problems += [f"{path.relative_to(site)} loads {link}" for link in found]
    return problems


def _problem(link: str, path: Path, site: Path, pages: dict[Path, Page]) -> str:
    """Why a link of a page leads nowhere; empty if it leads somewhere, or outside."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    aim = path
    if parts.path:
        folder = site if parts.path.startswith("/") else path.parent
        aim = (folder / unquote(parts.path).lstrip("/")).resolve()
        aim = aim / "index.html" if aim.is_dir() else aim
    if not aim.exists():
        return "there is no such page"
    anchor = unquote(parts.fragment)
    if anchor and not anchor.startswith("__") and aim in pages and anchor not in pages[aim].anchors:
        return "there is no such anchor"
    return ""
