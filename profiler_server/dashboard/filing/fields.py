"""What the form that files a job asks, and the request that the answers make.

It asks where, what and how, and shows then what that comes to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from netspec.errors import InvalidSpec
from netspec.protocol import TargetId
from netspec.spaces import named_values, shipped_spaces
from netspec.validation import first_problem
from netspec.wire import JobRequest
from profiler_server.dashboard.filing.alternatives import BadForm, require_nothing_else
from profiler_server.dashboard.named_values import named_values as labels_in
from profiler_server.kit.problems import Problem

#: the questions, in order, and which fields answer them
STEPS: Mapping[str, tuple[str, ...]] = {
    "where": ("where", "target_id", "labels"),
    "what": (
        "subject",
        "space",
        "input_size",
        "width",
        "classes",
        "recipe",
        "recipe_classes",
        "document",
    ),
    "how": (
        "quantity",
        "rounds",
        "method",
        "windows",
        "seconds",
        "precisions",
        "priority",
        "remeasure",
    ),
    "check": ("name",),
}
#: what a document may name of a job's request
_OF_DOCUMENT = ("spaces", "operators", "networks", "models")


_TARGET_ID: TypeAdapter[str] = TypeAdapter(TargetId)


def request_of(fields: Mapping[str, Any]) -> JobRequest:
    """The job that a filled form asks for.

    Args:
        fields: texts by the names of `DEFAULTS`; `precisions` is several.

    Raises:
        BadForm: naming the field, and what was expected.
    """
    for step, names in STEPS.items():
        if any("\0" in str(fields[name]) for name in names):
            raise BadForm("What was typed has a character that no text has (NUL)", step)
    where, what, how = (answer(fields) for answer in ANSWERS.values())
    name = str(fields["name"]).strip() or proposed_name(fields)
    try:
        return JobRequest.model_validate({"name": name, **where, **what, **how})
    except ValidationError as error:
        raise BadForm(first_problem(error, JobRequest).removeprefix("energy."), "check") from error


def proposed_name(fields: Mapping[str, Any]) -> str:
    """What the job is called if nobody calls it otherwise."""
    subject = {"space": f"space {fields['space']}", "recipe": "space of a recipe"}.get(
        fields["subject"], "operators and networks"
    )
    return f"energy of {subject}" if fields["quantity"] == "energy" else subject


def chosen_where(fields: Mapping[str, Any]) -> str:
    """The alternative of where; of a link that chooses none, the one that it fills in."""
    by_labels = fields["labels"] and not fields["target_id"]
    return str(fields["where"]) or ("labels" if by_labels else "target")


def _where(fields: Mapping[str, Any]) -> dict[str, Any]:
    where, target_id, labels = chosen_where(fields), fields["target_id"], str(fields["labels"])
    require_nothing_else(fields, "where", where, "where")
    if where == "target":
        if not target_id:
            raise BadForm("Choose a target, or name labels of devices", "where")
        try:
            return {"target_id": _TARGET_ID.validate_python(target_id)}
        except ValidationError as error:
            raise BadForm(f"target_id: {first_problem(error)}", "where") from error
    if not labels.strip():
        raise BadForm("Name at least one label, or choose a target", "where")
    try:
        return {"select": {"labels": labels_in(labels, ",")}}
    except Problem as problem:
        raise BadForm(problem.detail, "where") from problem


def _what(fields: Mapping[str, Any]) -> dict[str, Any]:
    subject = str(fields["subject"])
    require_nothing_else(fields, "subject", subject, "what")
    return _SUBJECTS[subject](fields)


def _how(fields: Mapping[str, Any]) -> dict[str, Any]:
    quantity = str(fields["quantity"])
    require_nothing_else(fields, "quantity", quantity, "how")
    return {
        **_QUANTITIES[quantity](fields),
        "precisions": list(fields["precisions"]),
        "priority": _number("priority", fields["priority"], int, "how"),
        "remeasure": bool(fields["remeasure"]),
    }


def _latency(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": str(fields["method"]),
        "rounds": _number("rounds", fields["rounds"], int, "how"),
    }


def _energy(fields: Mapping[str, Any]) -> dict[str, Any]:
    windows = _number("windows", fields["windows"], int, "how")
    seconds = _number("seconds", fields["seconds"], float, "how")
    return {"rounds": 1, "energy": {"windows": windows, "seconds": seconds}}


def _space(fields: Mapping[str, Any]) -> dict[str, Any]:
    name = str(fields["space"])
    if name not in shipped_spaces():
        raise BadForm(f"There is no space {name!r}; choose one of the list", "what")
    kinds = {
        "input_size": ("input size", int),
        "width": ("width multiplier", float),
        "classes": ("classes", int),
    }
    typed = {
        field: _number(word, fields[field], kind, "what")
        for field, (word, kind) in kinds.items()
        if str(fields[field]).strip()
    }
    values = named_values(name, folder=None)
    return {"spaces": _of_each_size({**_at_one_size(values, typed), **typed}, {})}


def _at_one_size(values: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a space without the sizes and widths that a typed one stands for."""
    replaced = {"input_size": "sizes", "width": "widths"}
    left_out = {replaced[name] for name in typed if name in replaced}
    return {name: value for name, value in values.items() if name not in left_out}


def _recipe(fields: Mapping[str, Any]) -> dict[str, Any]:
    if not str(fields["recipe"]).strip():
        raise BadForm("Choose the file of a recipe, or type or paste its text", "what")
    try:
        recipe = tomllib.loads(str(fields["recipe"]))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadForm(f"recipe: not TOML: {error}", "what") from error
    space = recipe.get("space")
    if not isinstance(space, dict | str):
        raise BadForm(
            "recipe: expected a [space] table, as recipes of search-client have it", "what"
        )
    try:
        # A path would be one of this machine.
        values = named_values(space, folder=None)
    except InvalidSpec as error:
        raise BadForm(f"recipe: space: {error}", "what") from error
    if str(fields["recipe_classes"]).strip():
        if "classes" in values:
            raise BadForm(
                f"recipe: its space has {values['classes']} classes, and classes were typed, too: "
                "empty that field, or change the recipe",
                "what",
            )
        values["classes"] = _number("classes of your data", fields["recipe_classes"], int, "what")
    return {"spaces": _of_each_size(values, recipe)}


def _of_each_size(space: dict[str, Any], recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the space once for each size and width that the recipe, or it, chooses among."""
    own_sizes, own_widths = space.pop("sizes", None), space.pop("widths", None)
    sizes = recipe.get("sizes") or own_sizes or [space.get("input_size")]
    widths = recipe.get("widths") or own_widths or [space.get("width")]
    if not (isinstance(sizes, list) and isinstance(widths, list)):
        raise BadForm("recipe: sizes and widths: expected lists of numbers", "what")
    named = [{"input_size": size, "width": width} for width in widths for size in sizes]
    return [
        {**space, **{name: value for name, value in one.items() if value is not None}}
        for one in named
    ]


def _document(fields: Mapping[str, Any]) -> dict[str, Any]:
    if not str(fields["document"]).strip():
        raise BadForm("Choose a file with a JSON object, or type or paste one", "what")
    try:
        document = json.loads(str(fields["document"]))
    except (ValueError, RecursionError) as error:
        raise BadForm(f"JSON object: not JSON: {error}", "what") from error
    if not isinstance(document, dict) or not document or document.keys() - set(_OF_DOCUMENT):
        raise BadForm(f"JSON object: expected one of {', '.join(_OF_DOCUMENT)}", "what")
    return document


#: what reads the answer to each question
ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "where": _where,
    "what": _what,
    "how": _how,
}
_SUBJECTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "space": _space,
    "recipe": _recipe,
    "document": _document,
}
_QUANTITIES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "latency": _latency,
    "energy": _energy,
}


def _number(name: str, text: Any, kind: type[int | float], step: str) -> float:
    try:
        return kind(str(text))
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise BadForm(f"{name}: expected {what}, got {str(text)!r}", step) from error
