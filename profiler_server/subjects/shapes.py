"""The rows and columns of a table that people read.

A table is a set of operators, of no particular space. What can stand at one place of a network
makes a row: the shape. What such operators differ in, kernel and expansion, makes the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

from netspec.operators import PRECISIONS, Activation, Operator, Precision

#: kinds with a digit of their own; MBConvs make the grid, all others a list
Kind = Literal["mbconv", "stem", "head", "classifier", "convert", "other"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_OTHER: Kind = "other"
_ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
_LARGEST_SIDE = 4096
#: how many digits a shape's text has
DIGITS = 19
#: where in the text the stride is, counted from 1 as SQL does
STRIDE_AT = 7


@dataclass(frozen=True)
class Shape:
    """All that tells an operator's place in a network."""

    precision: Precision
    kind: Kind
    #: side of the input, px
    input_size: int
    stride: int
    in_channels: int
    out_channels: int
    residual: bool
    #: None for operators without
    activation: Activation | None

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """The operator's shape."""
        return cls(
            precision=operator.precision,
            kind=next((kind for kind in _KINDS if kind == operator.kind), _OTHER),
            input_size=operator.input_size,
            stride=operator.total_stride,
            in_channels=operator.in_channels,
            out_channels=operator.out_channels,
            residual=operator.adds_input,
            activation=getattr(operator, "activation", None),
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The shape that `text` stands for.

        Raises:
            ValueError: it is no shape's text.
        """
        if len(text) != DIGITS or not (text.isascii() and text.isdigit()):
            raise ValueError(f"expected {DIGITS} digits, got {text!r}")
        precision, kind, activation = int(text[0]), int(text[1]), int(text[18])
        if precision >= len(PRECISIONS) or kind >= len(_KINDS) or activation > len(_ACTIVATIONS):
            raise ValueError(f"no shape: {text!r}")
        return cls(
            precision=PRECISIONS[precision],
            kind=_KINDS[kind],
            input_size=_LARGEST_SIDE - int(text[2:6]),
            stride=int(text[6]),
            in_channels=int(text[7:12]),
            out_channels=int(text[12:17]),
            residual=text[17] == "1",
            activation=_ACTIVATIONS[activation - 1] if activation else None,
        )

    @property
    def text(self) -> str:
        """Digits that sort as networks run, whatever the database's collation.

        Blocks first; large before small; a stride of 2, which ends a size, after 1; then by
        channels in and out.
        """
        activation = 0 if self.activation is None else 1 + _ACTIVATIONS.index(self.activation)
        return (
            f"{PRECISIONS.index(self.precision)}{_KINDS.index(self.kind)}"
            f"{_LARGEST_SIDE - self.input_size:04d}{self.stride}"
            f"{self.in_channels:05d}{self.out_channels:05d}{int(self.residual)}{activation}"
        )

    @property
    def output_size(self) -> int:
        """Side of an MBConv's output, px (SAME padding)."""
        return -(-self.input_size // self.stride)


def precision_of(text: str) -> Precision:
    """The precision in a shape's text."""
    return PRECISIONS[int(text[0])]


def texts_of_kind(kind: str, precision: Precision) -> tuple[str, str]:
    """The range [first, end) of the texts of a kind's operators, and of those among them."""
    digit = next((at for at, one in enumerate(_KINDS) if one == kind), _KINDS.index(_OTHER))
    number = 10 * PRECISIONS.index(precision) + digit
    return f"{number:02d}", f"{number + 1:02d}"


def texts(
    precision: Precision, *, blocks: bool, input_size: int | None = None
) -> list[tuple[str, str]]:
    """The ranges [first, end) of the texts of blocks, or of all other operators.

    Args:
        precision: of the operators.
        blocks: MBConvs; otherwise everything else.
        input_size: only those of this side, px.
    """
    kinds = _KINDS[:1] if blocks else _KINDS[1:]
    numbers = [PRECISIONS.index(precision) * 10 + _KINDS.index(kind) for kind in kinds]
    if input_size is None:
        return [(f"{numbers[0]:02d}", f"{numbers[-1] + 1:02d}")]
    starts = [number * 10_000 + _LARGEST_SIDE - input_size for number in numbers]
    return [(f"{start:06d}", f"{start + 1:06d}") for start in starts]
