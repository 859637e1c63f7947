"""Questions of the form that are answered in one of several ways, each with fields of its own.

Nothing that was typed is ignored: what is filled in for a way that is not chosen is an error. With
scripts such fields are not sent, and the page says so as soon as another way is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from profiler_server.kit.problems import Problem

#: what the form holds before anybody has written into it
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "name": "",
        "where": "",
        "target_id": "",
        "labels": "",
        "subject": "space",
        "space": "proxylessnas",
        "input_size": "",
        "width": "",
        "classes": "",
        "recipe": "",
        "recipe_classes": "",
        "document": "",
        "quantity": "latency",
        "rounds": "10",
        "method": "isolated",
        "windows": "10",
        "seconds": "2",
        "precisions": ("float32", "int8"),
        "priority": "0",
        "remeasure": "",
    }
)


class BadForm(Problem):
    """What was written into the form makes no job."""

    def __init__(self, detail: str, step: str) -> None:
        super().__init__("invalid-request", detail)
        #: the question that has no good answer yet
        self.step = step


@dataclass(frozen=True)
class Alternative:
    """A way to answer a question."""

    title: str
    #: what the page calls the fields that are filled in for it
    fields: Mapping[str, str]


#: by the field that says which is chosen
ALTERNATIVES: Mapping[str, Mapping[str, Alternative]] = MappingProxyType(
    {
        "where": {
            "target": Alternative("On one target", {"target_id": "Target"}),
            "labels": Alternative(
                "On all devices with certain labels", {"labels": "Labels of devices"}
            ),
        },
        "subject": {
            "space": Alternative(
                "A published space",
                {
                    "space": "Space",
                    "input_size": "Input size (px)",
                    "width": "Width multiplier",
                    "classes": "Classes",
                },
            ),
            "recipe": Alternative(
                "The space of a recipe",
                {
                    "recipe": "Text of a recipe",
                    "recipe_classes": "Classes of your data",
                },
            ),
            "document": Alternative("Operators, networks or models", {"document": "JSON object"}),
        },
        "quantity": {
            "latency": Alternative(
                "Latency", {"rounds": "Rounds (visits of each subject)", "method": "Method"}
            ),
            "energy": Alternative(
                "Energy of an inference",
                {
                    "windows": "Windows (of each subject)",
                    "seconds": "Seconds of a window, at least",
                },
            ),
        },
    }
)


def is_filled(fields: Mapping[str, Any], name: str) -> bool:
    """Whether a field holds something else than before anybody has written into it."""
    return str(fields[name]).strip() not in ("", DEFAULTS[name])


def left_over(fields: Mapping[str, Any], question: str, chosen: str) -> list[str]:
    """The alternatives that are not chosen and have fields which are filled in."""
    return [
        value
        for value, one in ALTERNATIVES[question].items()
        if value != chosen and any(is_filled(fields, name) for name in one.fields)
    ]


def require_nothing_else(fields: Mapping[str, Any], question: str, chosen: str, step: str) -> None:
    """Sees that what is filled in belongs to the alternative that is chosen.

    Raises:
        BadForm: naming the field, and what to do.
    """
    ways = ALTERNATIVES[question]
    if chosen not in ways:
        titles = ", ".join(f"“{one.title}”" for one in ways.values())
        raise BadForm(f"Choose one of {titles}", step)
    for value in left_over(fields, question, chosen):
        other = ways[value]
        name = next(name for name in other.fields if is_filled(fields, name))
        usual = DEFAULTS[name]
        back = f"put {usual} back there" if usual else "empty that field"
        raise BadForm(
            f"“{ways[chosen].title}” is chosen, but “{other.fields[name]}” is filled in: choose "
            f"“{other.title}”, or {back}",
            step,
        )
