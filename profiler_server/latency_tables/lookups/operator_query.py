"""An operator named by query parameters: its key, or the fields of an MBConv."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netspec.operators import MBConv, Operator, operator_from_key
from netspec.validation import described
from profiler_server.kit.problems import Problem


class OperatorQuery(BaseModel):
    """Either `key`, or an MBConv's fields."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[
        str | None, Field(description="An operator's canonical key, instead of an MBConv's fields")
    ] = None
    kernel: Annotated[int | None, Field(description="3 if left out")] = None
    expand: Annotated[int | None, Field(description="Middle over input channels")] = None
    stride: Annotated[int | None, Field(description="1 if left out")] = None
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
            Problem: `invalid-request`: both or neither given, or no MBConv has such fields.
        """
        fields = self.model_dump(exclude={"key"}, exclude_none=True)
        if (self.key is None) == (not fields):
            raise Problem(
                "invalid-request",
                "give either `key`, or the fields of an MBConv: "
                "kernel, expand, stride, in, out, size, precision",
            )
        return operator_from_key(self.key) if self.key is not None else _mbconv(fields)


def _mbconv(fields: dict[str, Any]) -> MBConv:
    names = {"in_": "in_channels", "out": "out_channels", "size": "input_size"}
    given = {names.get(name, name): value for name, value in fields.items()}
    fits = given.get("stride", 1) == 1 and given.get("in_channels") == given.get("out_channels")
    given.setdefault("residual", fits)
    try:
        return MBConv.model_validate(given)
    except ValidationError as error:
        shown = {inner: outer.removesuffix("_") for outer, inner in names.items()}
        lines = [
            described({**one, "loc": [shown.get(str(part), part) for part in one["loc"]]})
            for one in error.errors()
        ]
        raise Problem("invalid-request", "; ".join(lines)) from error


OperatorInQuery = Annotated[OperatorQuery, Query()]
