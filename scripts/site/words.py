"""A Markdown extension: the first of each of the project's words on a page leads to its meaning.

The words and their meanings are those of `docs/words.md`, where each gets an anchor. A word is a
link, so that the keyboard reaches it; its meaning is the link's title, which browsers show and
screen readers say. No script is needed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString
from zensical.extensions.context import ContextPreprocessor

WORDS = Path(__file__).parents[2] / "docs" / "words.md"
#: also words of everyday speech: marked, they would be so where they mean something else
EVERYDAY = frozenset(
    {"budget", "checkpoint", "delivery", "event", "layer", "network", "path", "profile"}
    | {"reference", "rest", "round", "stage", "stretch"}
)
#: in these a word is part of something else: a title, a link, a program
_LEFT_ALONE = frozenset({"a", "code", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "script", "style"})
#: pages that are tables of names
_REFERENCE = "reference/"

_BULLET = re.compile(r"^- (.*?)(?=^- |^## |\Z)", re.MULTILINE | re.DOTALL)
_TERMS = re.compile(r"((?:\*\*[^*]+\*\*(?:, )?)+): ")
_TERM = re.compile(r"\*\*([^*]+)\*\*")
#: after what is within lines (20), before the table of contents (5)
_AFTER_INLINE = 7


def glossary(text: str) -> dict[str, str]:
    """Each word of a page like `docs/words.md`, in bold before a colon, with its meaning."""
    found: dict[str, str] = {}
    for bullet in _BULLET.findall(text):
        _, *parts = _TERMS.split(" ".join(bullet.split()))
        for terms, meaning in zip(parts[::2], parts[1::2], strict=True):
            plain = re.sub(r"[*`]", "", meaning).strip(" ;.")
            found |= dict.fromkeys(_TERM.findall(terms), plain)
    return found


def anchor(word: str) -> str:
    """Where on the page of words a word is."""
    return re.sub(r"\W+", "-", word.lower()).strip("-")


def _forms(word: str) -> Iterator[str]:
    """A word as sentences have it: of one and of several, also as their first."""
    several = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    for form in (word, several):
        yield form
        yield form[:1].upper() + form[1:]


class _Words(Treeprocessor):
    def __init__(self, md: Markdown, meanings: Mapping[str, str]) -> None:
        super().__init__(md)
        self._meanings = meanings
        marked = [word for word in meanings if word not in EVERYDAY]
        self._words = {form: word for word in marked for form in _forms(word)}
        longest_first = sorted(self._words, key=len, reverse=True)
        self._any = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")
        self._seen: set[str] = set()

    def run(self, root: ET.Element) -> None:
        context = ContextPreprocessor.from_markdown(self.md)
        path = "index.md" if context is None else context.page.path
        if path == WORDS.name:
            for strong in root.iter("strong"):
                word = strong.text or ""
                if word in self._meanings:
                    strong.set("id", anchor(word))
        elif not path.startswith(_REFERENCE):
            page = WORDS.with_suffix(".html").name
            self._address = posixpath.relpath(page, posixpath.dirname(path) or ".")
            self._mark(root)

    def _mark(self, element: ET.Element) -> None:
        """Links what is seen for the first time, in the order of reading."""
        if element.tag in _LEFT_ALONE:
            return
        children = list(element)
        element.text, links = self._linked(element.text)
        for place, link in enumerate(links):
            element.insert(place, link)
        for child in children:
            self._mark(child)
            child.tail, links = self._linked(child.tail)
            place = list(element).index(child) + 1
            for number, link in enumerate(links):
                element.insert(place + number, link)

    def _linked(self, text: str | None) -> tuple[str | None, list[ET.Element]]:
        """What of a text stands before its first new word, and links with what follows each."""
        if not text or isinstance(text, AtomicString):
            return text, []
        ends, links = [0], []
        for match in self._any.finditer(text):
            word = self._words[match[0]]
            if word in self._seen:
                continue
            self._seen.add(word)
            link = ET.Element(
                "a",
                {
                    "class": "word",
                    "href": f"{self._address}#{anchor(word)}",
                    "title": self._meanings[word],
                },
            )
            link.text = AtomicString(match[0])
            links.append((match.start(), link))
            ends.append(match.end())
        starts: Iterable[int] = [*(start for start, _ in links), len(text)]
        pieces = [text[end:start] for end, start in zip(ends, starts, strict=True)]
        for (_, link), tail in zip(links, pieces[1:], strict=True):
            link.tail = tail
        return pieces[0], [link for _, link in links]


class Words(Extension):
    """Registers it."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the library's name
        """Called by Markdown."""
        meanings = glossary(WORDS.read_text(encoding="utf-8"))
        md.treeprocessors.register(_Words(md, meanings), "words", _AFTER_INLINE)


def makeExtension(**options: object) -> Words:  # noqa: N802 - Markdown looks for this name
    """The extension."""
    return Words(**options)
