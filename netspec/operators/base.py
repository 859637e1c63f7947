"""What every operator has: shapes, precision, a key, a hash, and its layers.

Sizes are in px, square and of the operator's *input*; however it is padded, the output side is
ceil(input_size / stride). Batch is 1, layout NHWC.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import INPUT, Layer, LayerGraph, PaddingRule, Value, layer_name, walk
from netspec.validation import FrozenModel

Precision = Literal["float32", "int8"]
#: where in a network an operator stands
Place = Literal["stem", "block", "head", "classifier", "conversion"]

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")

Side = Annotated[int, Field(ge=1, le=4096, description="px")]
Channels = Annotated[int, Field(ge=1, le=16384)]
Kernel = Literal[1, 3, 5, 7, 9, 11]
Stride = Literal[1, 2, 4]

#: fields whose name in a key is another
KEY_NAMES = {"activation": "act", "padding": "pad"}
_COMMON = {"kind", "input_size", "in_channels", "out_channels", "precision", "padding"}
_SAME: PaddingRule = "same"


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON: keys sorted, no white space, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _is_same(padding: PaddingRule) -> bool:
    return padding == _SAME


class OperatorBase(FrozenModel):  # noqa: PLW1641 - pydantic makes __hash__, of the fields
    """An operator: its fields, the order of its key, and its layers.

    A class of its own has `kind`, a literal that no other has; what it adds to the fields stands
    in its key, in the order of `key_fields`.
    """

    #: names of the fields that a class adds, in the order of the key
    key_fields: ClassVar[tuple[str, ...]] = ()
    place: ClassVar[Place] = "block"
    #: what people call operators of this kind
    title: ClassVar[str]
    _field_values: ClassVar[itemgetter[Any]]

    if TYPE_CHECKING:
        kind: str

    input_size: Side
    in_channels: Channels
    out_channels: Channels
    precision: Precision = "float32"
    #: of its convolutions. Where it is the usual one neither key nor JSON form speak of it.
    padding: Annotated[PaddingRule, Field(exclude_if=_is_same)] = _SAME

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a kind of operator that two different operators could have one key in."""
        cls._field_values = itemgetter(*cls.model_fields)
        if "kind" not in cls.model_fields:
            return
        own = set(cls.model_fields) - _COMMON
        if own != set(cls.key_fields):
            raise TypeError(
                f"{cls.__name__} has the fields {sorted(own)}, but key_fields names "
                f"{sorted(cls.key_fields)}; name each field once"
            )
        if "title" not in vars(cls):
            cls.title = cls.kind_name().replace("_", " ").capitalize()

    def __eq__(self, other: object) -> bool:
        """Return whether it is an operator of the same kind and fields.

        pydantic compares what was computed of the fields first, which takes twice the time.
        """
        if type(self) is not type(other):
            return NotImplemented
        return bool(self._field_values(self.__dict__) == self._field_values(other.__dict__))

    @classmethod
    def kind_name(cls) -> str:
        """The kind of all operators of this class."""
        return str(cls.model_fields["kind"].default)

    @model_validator(mode="after")
    def _padding_matters(self) -> Self:
        if self.padding != _SAME and not self.is_padded(self.padding):
            raise InvalidSpec(
                f"{self.padding} padding is as `{_SAME}` in an operator without a convolution of "
                f"stride 2 on an even size; leave it out"
            )
        return self

    def is_padded(self, padding: PaddingRule) -> bool:
        """Whether that padding makes other layers of it than the usual one."""
        usual, other = (
            self.model_copy(update={"padding": chosen}).layers for chosen in (_SAME, padding)
        )
        return usual != other

    @abstractmethod
    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Put the operator's layers together.

        Args:
            graph: empty.
            x: the operator's input.

        Returns:
            the output, which the last layer gives.
        """

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The operator's layers in order of execution; the last one gives its output.

        Raises:
            InvalidSpec: the layers give another shape than the operator's fields say.
        """
        graph = LayerGraph.of_input(self.input_size, self.in_channels, self.padding)
        output = self.build(graph, graph.input)
        if not graph.layers or output.name != graph.layers[-1].name:
            raise InvalidSpec(f"{self.key}: the output is not that of the last layer")
        if (output.size, output.channels) != (self.output_size, self.out_channels):
            raise InvalidSpec(
                f"{self.key}: its layers give {output.shape}, its fields say "
                f"{self.output_size} px x {self.out_channels}"
            )
        return tuple(graph.layers)

    @property
    def output_size(self) -> int:
        """Side of the output in px."""
        return self.input_size

    @property
    def keyed_fields(self) -> tuple[str, ...]:
        """Names of the fields that stand in its key, in their order."""
        return self.key_fields if self.padding == _SAME else (*self.key_fields, "padding")

    @property
    def key(self) -> str:
        """Canonical key, unique among operators and readable by people."""
        n, m = self.input_size, self.output_size
        parts = (f"-{KEY_NAMES.get(name, name)}:{self._option(name)}" for name in self.keyed_fields)
        return (
            f"{self.kind}-in:{n}x{n}x{self.in_channels}-out:{m}x{m}x{self.out_channels}"
            f"{''.join(parts)}-{self.precision}"
        )

    def _option(self, name: str) -> str:
        value = getattr(self, name)
        return str(int(value) if isinstance(value, bool) else value)

    @property
    def largest_kernel(self) -> int:
        """Side of the largest kernel or window of its layers, px; 1 where there is none."""
        return max(layer.kernel for layer in self.layers)

    @property
    def family(self) -> str:
        """Name of the operators whose latencies err together: of one kind and depthwise kernel.

        Convolutions in groups are apart, and a layer without weights by itself is of its own kind.
        """
        (first, *rest), name = self.layers, self.kind
        if not rest and not first.has_weights:
            return f"{name} {first.kind}"
        kernels = [layer.kernel for layer in self.layers if layer.kind == "depthwise"]
        if kernels:
            return f"{name} kernel {max(kernels)}"
        return f"{name} in groups" if any(layer.groups > 1 for layer in self.layers) else name

    @property
    def total_stride(self) -> int:
        """The strides of its layers, one after the other."""
        return walk(self.layers, 1, lambda layer, strides: strides[0] * layer.stride)

    @property
    def adds_input(self) -> bool:
        """Whether it is residual: its input is a term of a sum."""
        return any(layer.kind == "add" and INPUT in layer.inputs for layer in self.layers)

    @property
    def expansion(self) -> float:
        """Channels of its widest inner layer for each channel of the input; 1 without any."""
        widths = [layer.out_channels for layer in self.layers if layer.kind != "add"]
        return max(widths[:-1], default=self.in_channels) / self.in_channels

    @property
    def label(self) -> str:
        """The operator in a drawing, as short as can be; a kind may have a shorter one."""
        return f"{self.title} {self.largest_kernel}x{self.largest_kernel}"

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON form: the operator's identity on the wire."""
        return content_hash(self.model_dump(mode="json"))

    def with_precision(self, precision: Precision) -> Self:
        """The same operator in another precision."""
        return self.model_copy(update={"precision": precision})


class StridedOperator(OperatorBase):
    """An operator whose output is smaller where its stride is 2."""

    stride: Stride = 1

    @property
    def output_size(self) -> int:
        """Side of the output in px."""
        return -(-self.input_size // self.stride)


def named_layers(operators: Sequence[OperatorBase]) -> tuple[tuple[str, Layer], ...]:
    """Every layer of a chain with its name, in order of execution."""
    return tuple(
        (layer_name(index, layer), layer)
        for index, operator in enumerate(operators)
        for layer in operator.layers
    )


def require_residual_shapes(operator: StridedOperator) -> None:
    """Refuse a residual around an operator that changes shapes.

    Raises:
        InvalidSpec: the stride is not 1, or the channels change.
    """
    if operator.stride != 1 or operator.in_channels != operator.out_channels:
        raise InvalidSpec(
            "a residual needs stride 1 and as many output as input channels, "
            f"got stride {operator.stride}, {operator.in_channels} -> {operator.out_channels}"
        )
