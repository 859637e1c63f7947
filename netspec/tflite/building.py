"""A network of layers in the making, while the operators of a `.tflite` file are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.errors import UnreadableModel
from netspec.grouping import LayerNetwork, PlacedLayer, taking_zeros_in
from netspec.layers import INPUT, Layer, LayerKind
from netspec.operators import Precision
from netspec.tflite.file_graph import FileGraph, GraphOperator, GraphTensor

_PRECISIONS: dict[str, Precision] = {"FLOAT32": "float32", "INT8": "int8", "UINT8": "int8"}
_IMAGE_RANK, _FLAT_RANK = 4, 2
#: operators that may read channels in groups
_REGROUPING = ("RESHAPE", "TRANSPOSE")


@dataclass(frozen=True)
class TensorValue:
    """What a tensor holds."""

    #: of the layer that gives it, or `INPUT`
    name: str
    #: px; 1 where it is numbers
    side: int
    channels: int
    precision: Precision


@dataclass(frozen=True)
class ChannelGroups:
    """An image whose channels a tensor has in groups, on the way to being shuffled."""

    value: TensorValue
    groups: int
    #: whether the first channels of all groups stand together
    turned: bool = False


@dataclass
class Building:
    """The layers of the operators so far, and the values that the next ones read."""

    graph: FileGraph
    entering: GraphTensor
    layers: dict[str, PlacedLayer] = field(default_factory=dict)
    values: dict[int, TensorValue] = field(default_factory=dict)
    #: tensors that are no image, but channels in groups
    groups: dict[int, ChannelGroups] = field(default_factory=dict)
    #: tensors that follow from constants alone, as float32 weights from float16 ones
    constants: dict[int, GraphTensor] = field(default_factory=dict)
    #: layers that add or multiply a constant, with the constant
    operands: dict[str, float] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        read = (one.index for operator in self.graph.operators for one in operator.inputs if one)
        self.readers = Counter([*read, *(one.index for one in self.graph.outputs)])
        self.values[self.entering.index] = value_of(self.entering, INPUT, "the input")

    def network(self, name: str) -> LayerNetwork:
        """What was taken."""
        outputs = [self.values[one.index].name for one in self.graph.outputs if self.given(one)]
        return LayerNetwork(
            name=name,
            input_shape=(self._entered.side, self._entered.channels),
            layers=taking_zeros_in(tuple(self.layers.values()), outputs),
            outputs=tuple(outputs),
            views=tuple(self.views),
        )

    @property
    def _entered(self) -> TensorValue:
        return self.values[self.entering.index]

    def given(self, tensor: GraphTensor, operator: GraphOperator | None = None) -> bool:
        """Whether the tensor has a value by now."""
        if tensor.index in self.groups:
            if operator is not None and operator.name in _REGROUPING:
                return True
            raise UnreadableModel(
                f"{operator.place if operator else 'the output'} reads channels in groups; "
                "expected a transposition and a reshape to make them an image again"
            )
        known = tensor.data is not None or tensor.index in {**self.values, **self.constants}
        if not known:
            place = operator.place if operator else "the output"
            raise UnreadableModel(
                f"{place} reads tensor {tensor.index}, which no operator before it gives; expected "
                "a graph without circles, in order of execution"
            )
        return True

    def constant(self, tensor: GraphTensor | None) -> GraphTensor | None:
        """The constant that a tensor holds; None: it holds none."""
        if tensor is None or tensor.index in self.values:
            return None
        return self.constants.get(tensor.index, tensor)

    def image(self, operator: GraphOperator, position: int = 0) -> TensorValue:
        """The value of an input, which must not be a constant."""
        tensor = operator.inputs[position] if position < len(operator.inputs) else None
        if tensor is None or tensor.index not in self.values:
            raise UnreadableModel(
                f"{operator.place} reads a constant as its input {position}, expected an image"
            )
        return self.values[tensor.index]

    def numbers(self, operator: GraphOperator, position: int) -> list[int]:
        """The few whole numbers of a constant input."""
        tensor = operator.inputs[position] if position < len(operator.inputs) else None
        found = None if tensor is None or tensor.index in self.values else tensor.numbers
        if found is None or tensor is None or not tensor.type.startswith("INT"):
            raise UnreadableModel(
                f"{operator.place} computes its input {position} while it runs, expected a "
                "constant: only graphs of fixed shapes are read"
            )
        return [int(one) for one in found]

    def weight(self, operator: GraphOperator, x: TensorValue) -> tuple[int, ...]:
        """Shape of the weight, of the precision of what it is multiplied with."""
        weight = self.constant(operator.inputs[1] if len(operator.inputs) > 1 else None)
        if weight is None:
            raise UnreadableModel(f"{operator.place} has no constant weight, expected one")
        if weight.type != {"float32": "FLOAT32", "int8": "INT8"}[x.precision]:
            raise UnreadableModel(
                f"{operator.place} multiplies {x.precision} images with {weight.type} weights; "
                "expected both in float32, or both in int8: quantize the activations, too"
            )
        return weight.shape

    def add(
        self,
        operator: GraphOperator,
        kind: LayerKind,
        inputs: Sequence[TensorValue],
        **options: Any,
    ) -> None:
        """Add a layer that gives the operator's output."""
        (first, *_), name = inputs, f"{operator.index}:{operator.name}"
        given = value_of(operator.outputs[0], name, operator.place)
        layer = Layer(
            name,
            kind,
            first.channels,
            given.channels,
            inputs=tuple(one.name for one in inputs),
            **options,
        )
        placed = PlacedLayer(layer, first.side, given.precision)
        if placed.output_side != given.side:
            raise UnreadableModel(
                f"{operator.place} says that it gives {given.side} px, but its windows give "
                f"{placed.output_side}; convert the model again"
            )
        self.layers[name] = placed
        self.values[operator.outputs[0].index] = given

    def same(self, operator: GraphOperator, source: TensorValue) -> None:
        """Let the operator's output be a value that there is already."""
        self.values[operator.outputs[0].index] = source

    def read_once(self, operator: GraphOperator, position: int = 0) -> bool:
        """Whether nobody else reads an input."""
        tensor = operator.inputs[position]
        return tensor is not None and self.readers[tensor.index] == 1


def value_of(tensor: GraphTensor, name: str, place: str) -> TensorValue:
    """What a tensor holds, as an image or numbers."""
    shape = tensor.shape
    if any(side < 1 for side in shape):
        raise UnreadableModel(
            f"{place} has the shape {shape_text(shape)}, which is known only as it runs; export "
            "the model with a fixed input"
        )
    precision = _PRECISIONS.get(tensor.type)
    if precision is None:
        raise UnreadableModel(
            f"{place} is of the type {tensor.type}; expected {', '.join(_PRECISIONS)}"
        )
    if len(shape) not in (_IMAGE_RANK, _FLAT_RANK) or shape[0] != 1:
        raise UnreadableModel(
            f"{place} has the shape {shape_text(shape)}; expected [1, side, side, channels] or "
            "[1, channels], a batch of one"
        )
    if len(shape) == _FLAT_RANK:
        return TensorValue(name, 1, shape[1], precision)
    if shape[1] != shape[2]:
        raise UnreadableModel(
            f"{place} has the shape {shape_text(shape)}; expected a square image, channels last"
        )
    return TensorValue(name, shape[1], shape[3], precision)


def shape_text(shape: Sequence[int]) -> str:
    """A shape as messages show it."""
    return f"[{', '.join(map(str, shape))}]"
