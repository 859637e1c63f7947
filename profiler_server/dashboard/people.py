"""What the domains say of a problem, as people read it on a page: nothing of the API in it."""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

from profiler_server.kit.problems import Problem

#: kinds that have nothing more to say than this, and where to go on
_PLAIN: Final = {
    "not-found": ("There is no such page.", "/", "the farm"),
    "unknown-job": ("There is no such job: it was deleted, or never filed.", "/jobs", "the jobs"),
    "unknown-device": ("There is no such device.", "/", "the farm"),
    "unknown-target": (
        "There is no such target: it was deleted, or its devices have not registered yet.",
        "/targets",
        "the tables",
    ),
    "missing-entry": (
        "Nothing of this is measured on the target yet; a job can have it measured.",
        "/jobs/new",
        "a new job",
    ),
}
_HOME: Final = ("/", "the farm")
#: what is meant for programs: methods and paths, parameters of the API
_FOR_PROGRAMS: Final = re.compile(
    r"\b(GET|PUT|POST|DELETE|PATCH) /|/v1/|/docs\b|`/|Retry-After|`Link`|leave `\w+` out"
)
_CLAUSES: Final = re.compile(r"(?<=[;.])\s+")
_PATTERN: Final = re.compile(r"expected match(?:ed)? pattern '.*?'(?=, got |$)")
#: a value's place in a request, where a form has a field for it, or a filter
_PLACE: Final = re.compile(
    r"(?:(?<=^)|(?<=; ))(?:query\.|body\.)?(?:spaces\.\d+\.)?([a-z]\w*)(?:\.\d+)?(?=: )"
)
#: what pages call otherwise than requests do
_SAID: Final = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "can measure in_network": "can measure in networks",
}
#: kinds of which a form says this
_OF_FORMS: Final = {
    "not-a-model": "the file is no .tflite file: choose one that a converter has written",
}
_QUOTED: Final = re.compile(r"`([^`]*)`")


def in_words(detail: str) -> Markup:
    """What was wrong and what to do, without what is for programs; commands set as code."""
    clauses = [one for one in _CLAUSES.split(detail) if not _FOR_PROGRAMS.search(one)]
    text = " ".join(clauses).rstrip(" ;,")
    text = _PATTERN.sub("is not of the form that is expected here", text)
    text = _PLACE.sub(lambda place: place[1].removesuffix("_id").replace("_", " "), text)
    for for_programs, said in _SAID.items():
        text = text.replace(for_programs, said)
    parts = _QUOTED.split(text[:1].upper() + text[1:])
    # What stood between backticks has odd numbers.
    marked = (
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )
    return Markup("").join(marked)


def of_form(problem: Problem) -> str:
    """What was wrong with a form, before it is put `in_words`."""
    return _OF_FORMS.get(problem.kind, problem.detail)


def of_kind(kind: str, detail: str) -> tuple[Markup, str, str]:
    """What a problem's page says, and where it leads: an address and its name."""
    if kind in _PLAIN:
        says, address, name = _PLAIN[kind]
        return escape(says), address, name
    if detail.startswith("query.cursor: "):
        return escape("The list has no such page: begin with its first one."), *_HOME
    return in_words(detail), *_HOME
