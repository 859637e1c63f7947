"""Strict models, and what pydantic has found wrong in words that suit whoever wrote the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from netspec.suggestions import did_you_mean

_QUOTED = re.compile(r"'([^']*)'")
#: characters of a wrong value that a message repeats
_LONGEST_VALUE = 40


class FrozenModel(BaseModel):
    """A model that is immutable, strict about unknown fields, and of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first thing wrong with a message: where, if it is of a field, and what."""
    return described(error.errors()[0], model)


def described(problem: Mapping[str, Any], model: type[BaseModel] | None = None) -> str:
    """One item of a validation error: where, if it is of a field, and what.

    Args:
        problem: of `ValidationError.errors()`.
        model: what was validated; names that are there are suggested for one that is not.
    """
    where = ".".join(_clipped(str(part)) for part in problem["loc"])
    what = _what(problem, model)
    return f"{where}: {what}" if where else what


def _what(problem: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            *tables, name = map(str, problem["loc"])
            names = set(_names(model, tables)) if model else set()
            return "there is no such value" + (f"; {did_you_mean(name, names)}" if names else "")
        case "union_tag_not_found":
            return f"{_unquoted(context['discriminator'])} is missing"
        case "union_tag_invalid":
            tags = _QUOTED.findall(context["expected_tags"])
            tag, kind = _clipped(str(context["tag"])), _unquoted(context["discriminator"])
            return f"there is no {kind} {tag!r}; {did_you_mean(tag, tags)}"
        case "literal_error" | "enum" if isinstance(problem.get("input"), str):
            expected, value = _QUOTED.findall(context["expected"]), _clipped(problem["input"])
            return f"is {value!r}; {did_you_mean(value, expected)}"
    return _wording(problem)


def _unquoted(name: str) -> str:
    return name.strip("'")


def _wording(problem: Mapping[str, Any]) -> str:
    # What our own checks say is a sentence already.
    what = str(problem["msg"]).removeprefix("Value error, ")
    if not what.startswith("Input should "):
        return what
    got = f", got {_clipped(repr(problem['input']))}" if "input" in problem else ""
    return f"{what.replace('Input should be', 'expected', 1)}{got}"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _names(model: type[BaseModel], tables: Sequence[str]) -> Iterator[str]:
    """Return the values that a table inside a model may have; a union names the kind it took."""
    if not tables:
        yield from model.model_fields
        return
    table, *deeper = tables
    if table not in model.model_fields:
        return
    models = _models_in(model.model_fields[table].annotation)
    if deeper and len(models) > 1:
        models = [one for one in models if deeper[0] == one.model_fields["kind"].default]
        deeper = deeper[1:]
    for inner in models:
        yield from _names(inner, deeper)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field may hold, those inside lists and unions included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
