"""An operator named by query parameters: its key, or its kind and fields."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netspec.operators import Operator, operator_from_key, registered_operators
from netspec.suggestions import did_you_mean
from netspec.validation import described
from profiler_server.kit.problems import Problem

_KINDS = {operator.kind_name(): operator for operator in registered_operators()}
#: short names of fields that every operator has
_NAMES = {"in_": "in_channels", "out": "out_channels", "size": "input_size"}
#: what is never taken for granted
_ALWAYS = ("kernel", "stride")


class OperatorQuery(BaseModel):
    """Either `key`, or an operator's fields; what only some kinds have is a parameter, too."""

    model_config = ConfigDict(extra="allow")

    key: Annotated[
        str | None, Field(description="An operator's canonical key, instead of its fields")
    ] = None
    kind: Annotated[
        str | None,
        Field(description="`mbconv` if left out; every other field of a kind is a parameter"),
    ] = None
    kernel: Annotated[int | None, Field(description="Of kinds that have one, side in px")] = None
    expand: Annotated[int | None, Field(description="Middle over input channels")] = None
    stride: Annotated[int | None, Field(description="Of kinds that have one")] = None
    in_: Annotated[int | None, Field(alias="in", description="Input channels")] = None
    out: Annotated[int | None, Field(description="Output channels")] = None
    size: Annotated[int | None, Field(description="Side of the input, px")] = None
    precision: Annotated[str | None, Field(description="`float32` if left out, or `int8`")] = None
    residual: Annotated[
        bool | None,
        Field(description="Left out: where the shapes allow one, as in the search spaces"),
    ] = None
    activation: Annotated[str | None, Field(description="`relu6` if left out, or `relu`")] = None

    def operator(self) -> Operator:
        """The operator that is meant.

        Raises:
            InvalidSpec: the key names no operator.
            Problem: `invalid-request`: both or neither given, or no operator has such fields.
        """
        fields = self.model_dump(exclude={"key"}, exclude_none=True)
        if (self.key is None) == (not fields):
            raise Problem(
                "invalid-request",
                "give either `key`, or the fields of an operator: "
                "kind, in, out, size, precision, and for an MBConv kernel, expand, stride",
            )
        return operator_from_key(self.key) if self.key is not None else _of_fields(fields)


def _of_fields(fields: dict[str, Any]) -> Operator:
    kind = fields.setdefault("kind", "mbconv")
    if kind not in _KINDS:
        raise Problem(
            "invalid-request", f"kind: there is no {kind!r}; {did_you_mean(kind, _KINDS)}"
        )
    given = {
        _NAMES.get(name, name): int(value) if str(value).isdecimal() else value
        for name, value in fields.items()
    }
    if unsaid := [
        name for name in _ALWAYS if name in _KINDS[kind].model_fields and name not in given
    ]:
        raise Problem(
            "invalid-request",
            f"{', '.join(unsaid)}: missing; they make most of a latency, so say them",
        )
    if "residual" in _KINDS[kind].model_fields:
        fits = given.get("stride", 1) == 1 and given.get("in_channels") == given.get("out_channels")
        given.setdefault("residual", fits)
    try:
        return _KINDS[kind].model_validate(given)
    except ValidationError as error:
        shown = {inner: outer.removesuffix("_") for outer, inner in _NAMES.items()}
        lines = [
            described({**one, "loc": [shown.get(str(part), part) for part in one["loc"]]})
            for one in error.errors()
        ]
        raise Problem("invalid-request", "; ".join(lines)) from error


OperatorInQuery = Annotated[OperatorQuery, Query()]
