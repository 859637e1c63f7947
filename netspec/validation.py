"""Strict models, and what pydantic has found wrong in words that suit whoever wrote the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from netspec.suggestions import did_you_mean

_QUOTED = re.compile(r"'([^']*)'")
#: how pydantic begins what it expects of an `Input`, a `String`, a `List`
_SHOULD = re.compile(r"^\w+ should (?:be |have )?")
#: by the kind of error, where pydantic speaks of its parser
_EXPECTED = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
}
#: characters of a wrong value that a message repeats
_LONGEST_VALUE = 40


class FrozenModel(BaseModel):
    """A model that is immutable, strict about unknown fields, and of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values; what was computed of the old ones is forgotten."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(copied).model_fields.keys():
            del copied.__dict__[name]
        return copied


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
    return _misspelt(problem, model) or _wording(problem)


def _misspelt(problem: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    """What is wrong with a name, and which may be meant; empty where no name is wrong."""
    context = problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            # A list's items are one like another.
            *tables, name = (str(part) for part in problem["loc"] if not isinstance(part, int))
            names = set(_names(model, tables)) if model else set()
            meant = f"; {did_you_mean(_clipped(name), names)}" if names else ""
            return f"there is no such value{meant}"
        case "union_tag_not_found":
            return f"{_unquoted(context['discriminator'])} is missing"
        case "union_tag_invalid":
            tags = _QUOTED.findall(context["expected_tags"])
            tag, kind = _clipped(str(context["tag"])), _unquoted(context["discriminator"])
            return f"there is no {kind} {tag!r}; {did_you_mean(tag, tags)}"
        case "literal_error" | "enum" if isinstance(problem.get("input"), str):
            expected, value = _QUOTED.findall(context["expected"]), _clipped(problem["input"])
            return f"is {value!r}; {did_you_mean(value, expected)}"
    return ""


def _unquoted(name: str) -> str:
    return name.strip("'")


def _wording(problem: Mapping[str, Any]) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return "is missing"
        case "json_invalid":
            return f"is no JSON: {context['error']}"
        case "too_short":
            return f"expected at least {_items(context['min_length'])}{_got(problem)}"
        case "too_long":
            return f"expected at most {_items(context['max_length'])}{_got(problem)}"
        case kind if kind in _EXPECTED:
            return f"expected {_EXPECTED[kind]}{_got(problem)}"
    # What our own checks say is a sentence already.
    what, of_pydantic = _SHOULD.subn("expected ", str(problem["msg"]).removeprefix("Value error, "))
    return f"{what}{_got(problem)}" if of_pydantic else what


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _got(problem: Mapping[str, Any]) -> str:
    """What was given, in so far as the problem says it: its number where it is one of items."""
    if (count := problem.get("ctx", {}).get("actual_length")) is not None:
        return f", got {count}"
    return f", got {_clipped(repr(problem['input']))}" if "input" in problem else ""


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
        kinds = {one: one.model_fields.get("kind") for one in models}
        models = [one for one, kind in kinds.items() if kind and kind.default == deeper[0]]
        deeper = deeper[1:]
    for inner in models:
        yield from _names(inner, deeper)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field may hold, those inside lists and unions included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
