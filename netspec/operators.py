"""Operators: the things that a latency table prices.

Sizes are in px, square and of the operator's *input*; padding is SAME, so the
output side is ceil(input_size / stride). Batch is 1, layout NHWC.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from netspec.errors import InvalidSpec
from netspec.validation import first_problem

Precision = Literal["float32", "int8"]
Activation = Literal["relu6", "relu"]

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")

Side = Annotated[int, Field(ge=1, le=4096, description="px")]
Channels = Annotated[int, Field(ge=1, le=16384)]
Kernel = Literal[1, 3, 5, 7, 9, 11]
Stride = Literal[1, 2]


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON: keys sorted, no white space, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class _Operator(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: Side
    in_channels: Channels
    out_channels: Channels
    precision: Precision = "float32"

    @property
    def output_size(self) -> int:
        """Side of the output in px (SAME padding)."""
        return self.input_size

    @property
    def _shapes(self) -> str:
        n, m = self.input_size, self.output_size
        return f"in:{n}x{n}x{self.in_channels}-out:{m}x{m}x{self.out_channels}"

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON form: the operator's identity on the wire."""
        return content_hash(self.model_dump(mode="json"))

    def with_precision(self, precision: Precision) -> Self:
        """The same operator in another precision."""
        # Not `model_copy`, which would carry the cached hash over.
        return type(self)(**{**self.model_dump(), "precision": precision})


class _Strided(_Operator):
    stride: Stride = 1

    @property
    def output_size(self) -> int:
        """Side of the output in px (SAME padding)."""
        return -(-self.input_size // self.stride)


class StemConv(_Strided):
    """The first convolution: kxk, stride, BatchNorm folded, activation."""

    kind: Literal["stem"] = "stem"
    kernel: Kernel = 3
    activation: Activation = "relu6"

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        return (
            f"stem-{self._shapes}-kernel:{self.kernel}-stride:{self.stride}"
            f"-act:{self.activation}-{self.precision}"
        )


class MBConv(_Strided):
    """A mobile inverted bottleneck (MobileNetV2): expand 1x1, depthwise kxk, project 1x1.

    With `expand` 1 there is no expansion convolution. `residual` adds the input
    to the output.
    """

    kind: Literal["mbconv"] = "mbconv"
    kernel: Kernel = 3
    expand: Annotated[int, Field(ge=1, le=16, description="ratio of middle to input channels")]
    residual: bool = False
    activation: Activation = "relu6"

    @model_validator(mode="after")
    def _residual_needs_equal_shapes(self) -> Self:
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise InvalidSpec(
                "a residual needs stride 1 and as many output as input channels, "
                f"got stride {self.stride}, {self.in_channels} -> {self.out_channels}"
            )
        return self

    @property
    def middle_channels(self) -> int:
        """Channels of the depthwise convolution."""
        return self.in_channels * self.expand

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        return (
            f"mbconv-{self._shapes}-kernel:{self.kernel}-expand:{self.expand}"
            f"-stride:{self.stride}-residual:{int(self.residual)}"
            f"-act:{self.activation}-{self.precision}"
        )


class HeadConv(_Operator):
    """The last convolution: 1x1, BatchNorm folded, activation."""

    kind: Literal["head"] = "head"
    activation: Activation = "relu6"

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        return f"head-{self._shapes}-act:{self.activation}-{self.precision}"


class Classifier(_Operator):
    """Global average pooling and the fully connected layer; `out_channels` are the classes."""

    kind: Literal["classifier"] = "classifier"

    @property
    def output_size(self) -> int:
        """Side of the output in px: pooled to one."""
        return 1

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        return f"classifier-{self._shapes}-{self.precision}"


class Convert(_Operator):
    """A change of precision between two operators: quantize to int8, or dequantize to float32.

    `precision` is that of the output; the input has the other one. What it costs to keep a
    block in another precision than its neighbours is so part of the table.
    """

    kind: Literal["convert"] = "convert"

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"a conversion keeps its channels, got {self.in_channels} -> {self.out_channels}"
            )
        return self

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        return f"convert-{self._shapes}-{self.precision}"


Operator = Annotated[
    StemConv | MBConv | HeadConv | Classifier | Convert, Field(discriminator="kind")
]

OPERATOR: TypeAdapter[Operator] = TypeAdapter(Operator)

_KEY = re.compile(
    r"(?P<kind>stem|mbconv|head|classifier|convert)"
    r"-in:(?P<n>\d{1,4})x(?P=n)x(?P<cin>\d{1,5})-out:(?P<m>\d{1,4})x(?P=m)x(?P<cout>\d{1,5})"
    r"(?P<options>(?:-[a-z]+:\w+)*)-(?P<precision>float32|int8)"
)
_OPTION_FIELDS = {"act": "activation"}


def operator_from_key(key: str) -> Operator:
    """The operator that a canonical key names.

    Raises:
        InvalidSpec: the text is no canonical key, or names an operator that cannot exist.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise InvalidSpec(
            f"{key!r} is not an operator key; expected for instance "
            "'mbconv-in:56x56x24-out:56x56x24-kernel:5-expand:6-stride:1-residual:1-act:relu6-int8'"
        )
    options = dict(part.split(":", 1) for part in match["options"].split("-") if part)
    fields: dict[str, Any] = {_OPTION_FIELDS.get(name, name): v for name, v in options.items()}
    for name in ("kernel", "stride", "expand", "residual"):
        if name in fields and fields[name].isdigit():
            fields[name] = int(fields[name])
    try:
        operator = OPERATOR.validate_python(
            {
                "kind": match["kind"],
                "input_size": int(match["n"]),
                "in_channels": int(match["cin"]),
                "out_channels": int(match["cout"]),
                "precision": match["precision"],
                **fields,
            }
        )
    except ValidationError as error:
        raise InvalidSpec(f"{key!r} names no operator: {first_problem(error)}") from error
    if operator.key != key:
        raise InvalidSpec(f"{key!r} is not canonical; did you mean {operator.key!r}?")
    return operator
