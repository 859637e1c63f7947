"""Networks: lists of operators with an input size; and MobileNetV2 as one."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import PaddingRule
from netspec.operators import (
    Classifier,
    Convert,
    HeadConv,
    MBConv,
    Operator,
    Precision,
    StemConv,
    Stride,
    content_hash,
)

#: characters of a network's name
MAX_NAME = 200
#: output channels of the head at width 1. Source: MobileNetV2, table 2.
HEAD_CHANNELS = 1280
#: (expand, channels, depth, first stride) of each stage. Source: MobileNetV2, table 2.
MOBILENET_V2_STAGES: tuple[tuple[int, int, int, Stride], ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def round_channels(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of `divisor`, never below 90 % of the wish.

    Source: `_make_divisible` of the MobileNet papers' reference code.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class Network(BaseModel):
    """A chain of operators.

    The name is for people; the identity (`content_hash`) is that of the operators.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    operators: Annotated[tuple[Operator, ...], Field(min_length=1, max_length=512)]

    @model_validator(mode="after")
    def _shapes_must_chain(self) -> Self:
        for before, after in zip(self.operators, self.operators[1:], strict=False):
            given = (before.output_size, before.out_channels)
            wanted = (after.input_size, after.in_channels)
            if given != wanted:
                raise InvalidSpec(
                    f"network {self.name!r}: {after.key} expects {wanted[0]} px and {wanted[1]} "
                    f"channels, but {before.key} gives {given[0]} px and {given[1]} channels"
                )
        return self

    @property
    def input_size(self) -> int:
        """Side of the input image in px."""
        return self.operators[0].input_size

    @property
    def classes(self) -> int:
        """Channels of the last operator's output."""
        return self.operators[-1].out_channels

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the operators' canonical JSON."""
        return content_hash([operator.model_dump(mode="json") for operator in self.operators])

    def with_padding(self, padding: PaddingRule) -> Network:
        """The same network with its convolutions padded by one rule, where that is a difference."""
        padded = (
            operator.model_copy(
                update={"padding": padding if operator.is_padded(padding) else "same"}
            )
            for operator in self.operators
        )
        return Network(name=self.name, operators=tuple(padded))

    def with_precision(self, precision: Precision) -> Network:
        """The same network with every operator in one precision, and so no conversions."""
        return Network(
            name=self.name,
            operators=tuple(
                operator.with_precision(precision)
                for operator in self.operators
                if not isinstance(operator, Convert)
            ),
        )


def mobilenet_v2(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MobileNetV2 at an input size (px) and width multiplier.

    The head stays 1280 channels wide below width 1.0. Source: MobileNetV2, table 2.
    """
    stem = StemConv(
        input_size=input_size,
        in_channels=3,
        out_channels=round_channels(32 * width),
        stride=2,
        precision=precision,
    )
    operators: list[Operator] = [stem]
    size, channels = stem.output_size, stem.out_channels
    for expand, out, depth, first_stride in MOBILENET_V2_STAGES:
        out_channels = round_channels(out * width)
        for index in range(depth):
            stride: Stride = first_stride if index == 0 else 1
            block = MBConv(
                input_size=size,
                in_channels=channels,
                out_channels=out_channels,
                kernel=3,
                expand=expand,
                stride=stride,
                residual=stride == 1 and channels == out_channels,
                precision=precision,
            )
            operators.append(block)
            size, channels = block.output_size, block.out_channels
    operators += head_and_classifier(size, channels, width, classes, precision)
    return Network(name=f"mobilenet_v2 {input_size}-{width:g}", operators=tuple(operators))


def head_and_classifier(
    input_size: int,
    channels: int,
    width: float,
    classes: int,
    precision: Precision,
    head_channels: int = HEAD_CHANNELS,
) -> tuple[HeadConv, Classifier]:
    """The last two operators, the same in MobileNetV2 and in the ProxylessNAS space."""
    head = HeadConv(
        input_size=input_size,
        in_channels=channels,
        out_channels=round_channels(head_channels * max(1.0, width)),
        precision=precision,
    )
    classifier = Classifier(
        input_size=input_size,
        in_channels=head.out_channels,
        out_channels=classes,
        precision=precision,
    )
    return head, classifier
