"""The form that files a job: its fields, and the request that they make."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.spaces import named_values
from netspec.validation import first_problem
from netspec.wire import JobRequest
from profiler_server.kit.problems import Problem

#: what the form holds before anybody has written into it
DEFAULTS: Mapping[str, Any] = {
    "name": "",
    "target_id": "",
    "labels": "",
    "subject": "space",
    "input_size": "224",
    "width": "1.0",
    "classes": "1000",
    "recipe": "",
    "document": "",
    "precisions": ("float32", "int8"),
    "method": "isolated",
    "rounds": "10",
    "priority": "0",
    "remeasure": "",
}
#: what a document may name of a job's request
_OF_DOCUMENT = ("spaces", "operators", "networks", "models")


class BadForm(Problem):
    """What was written into the form makes no job."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid-request", detail)


def request_of(fields: Mapping[str, Any]) -> JobRequest:
    """The job that a filled form asks for.

    Args:
        fields: texts by the names of `DEFAULTS`; `precisions` is several.

    Raises:
        BadForm: naming the field, and what was expected.
    """
    subject = _SUBJECTS.get(str(fields["subject"]))
    if subject is None:
        raise BadForm("choose what to measure: a space, a recipe or a document")
    request = {
        "name": str(fields["name"]).strip(),
        **_where(str(fields["target_id"]), str(fields["labels"])),
        **subject(fields),
        "precisions": list(fields["precisions"]),
        "method": str(fields["method"]),
        "rounds": _number("rounds", fields["rounds"], int),
        "priority": _number("priority", fields["priority"], int),
        "remeasure": bool(fields["remeasure"]),
    }
    try:
        return JobRequest.model_validate(request)
    except ValidationError as error:
        raise BadForm(first_problem(error, JobRequest)) from error


def _where(target_id: str, labels: str) -> dict[str, Any]:
    if bool(target_id) == bool(labels.strip()):
        raise BadForm("choose a target, or name labels of devices, but not both")
    if target_id:
        return {"target_id": target_id}
    pairs = [pair.strip() for pair in labels.split(",") if pair.strip()]
    if not pairs or not all("=" in pair for pair in pairs):
        raise BadForm(f"labels: expected NAME=VALUE, separated by commas, got {labels!r}")
    named = dict(pair.split("=", 1) for pair in pairs)
    return {"select": {"labels": {name.strip(): value.strip() for name, value in named.items()}}}


def _space(fields: Mapping[str, Any]) -> dict[str, Any]:
    space = {
        "input_size": _number("input_size", fields["input_size"], int),
        "width": _number("width", fields["width"], float),
        "classes": _number("classes", fields["classes"], int),
    }
    return {"spaces": [space]}


def _recipe(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        recipe = tomllib.loads(str(fields["recipe"]))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadForm(f"recipe: not TOML: {error}") from error
    space = recipe.get("space")
    if not isinstance(space, dict | str):
        raise BadForm("recipe: expected a [space] table, as recipes of search-client have it")
    try:
        # A path would be one of this machine.
        values = named_values(space, folder=None)
    except InvalidSpec as error:
        raise BadForm(f"recipe: space: {error}") from error
    own = {"classes": _number("classes", fields["classes"], int), **values}
    return {"spaces": _of_each_size(own, recipe)}


def _of_each_size(space: dict[str, Any], recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the space once for each size and width that the recipe, or it, chooses among."""
    own_sizes, own_widths = space.pop("sizes", None), space.pop("widths", None)
    sizes = recipe.get("sizes") or own_sizes or [space.get("input_size")]
    widths = recipe.get("widths") or own_widths or [space.get("width")]
    if not (isinstance(sizes, list) and isinstance(widths, list)):
        raise BadForm("recipe: sizes and widths: expected lists of numbers")
    named = [{"input_size": size, "width": width} for width in widths for size in sizes]
    return [
        {**space, **{name: value for name, value in one.items() if value is not None}}
        for one in named
    ]


def _document(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        document = json.loads(str(fields["document"]))
    except (ValueError, RecursionError) as error:
        raise BadForm(f"document: not JSON: {error}") from error
    if not isinstance(document, dict) or not document or document.keys() - set(_OF_DOCUMENT):
        raise BadForm(f"document: expected an object of {', '.join(_OF_DOCUMENT)}")
    return document


_SUBJECTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "space": _space,
    "recipe": _recipe,
    "document": _document,
}


def _number(name: str, text: Any, kind: type[int | float]) -> float:
    try:
        return kind(str(text))
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise BadForm(f"{name}: expected {what}, got {str(text)!r}") from error
