"""The page of spaces: every field of a space, a stage and an operator, and every kind of it."""

from __future__ import annotations

import inspect
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from netspec.operators import OPERATOR_CLASSES, OperatorBase
from netspec.spaces import OperatorPlan, Space, Stage
from scripts.site.markdown import code, page, table
from scripts.site.settings import comments, default_of

_SPACES = (
    "A space is a TOML or JSON file, or the `space` of a [recipe](recipes.md): the same values as "
    "a table, or a name or path. [How to write one](../how-to/your-space.md)."
)
_OF_THE_PLACE = ("kind", "input_size", "in_channels", "out_channels", "precision")


def space_page() -> str:
    """`docs/reference/spaces.md`."""
    models = (("A space", Space), ("A stage", Stage), ("An operator", OperatorPlan))
    parts = [_SPACES]
    for title, model in models:
        parts += [f"## {title}", inspect.getdoc(model) or "", _values(model)]
    kinds = [
        [code(kind), _summary(operator), ", ".join(_fields(operator)) or "none"]
        for kind, operator in sorted(OPERATOR_CLASSES.items())
        if operator.place != "conversion"
    ]
    columns = ["kind", "is", "fields beside the shapes"]
    return page(
        "Spaces",
        "`netspec/spaces/` and `netspec/operators/`",
        [*parts, "## Kinds of operators", table(columns, kinds)],
    )


def _values(model: type[BaseModel]) -> str:
    said = comments(model)
    rows = [[code(name), said[name], default_of(model, name)] for name in model.model_fields]
    return table(["value", "is", "default"], rows)


def _summary(operator: type[OperatorBase]) -> str:
    return (inspect.getdoc(operator) or "").partition("\n")[0]


def _fields(operator: type[OperatorBase]) -> list[str]:
    return [
        code(name if field.is_required() else f"{name} = {field.default}") + _choices(field)
        for name, field in operator.model_fields.items()
        if name not in _OF_THE_PLACE
    ]


def _choices(field: FieldInfo) -> str:
    """What a field of few values may be."""
    values = [one for one in get_args(field.annotation) if isinstance(one, str | int)]
    return f" ({', '.join(map(str, values))})" if values else ""
