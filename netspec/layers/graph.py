"""Layers as a graph: put together by operators, walked by everyone else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from netspec.errors import InvalidSpec
from netspec.layers.layer import (
    INPUT,
    Activation,
    FusedActivation,
    Layer,
    LayerKind,
    PaddingRule,
    same_padding,
)

T = TypeVar("T")
_FUSED = get_args(FusedActivation)


@dataclass(frozen=True)
class Value:
    """What a layer gives, or the operator's input: an image, or numbers where it is flat."""

    #: of the layer, or `INPUT`
    name: str
    channels: int
    #: side in px; 1 where it is flat
    size: int
    flat: bool = False

    @property
    def shape(self) -> str:
        """In words, for messages."""
        return f"{self.channels} numbers" if self.flat else f"{self.size} px x {self.channels}"


@dataclass
class LayerGraph:
    """Layers under construction; the last one gives the operator's output.

    A layer reads what was made before it, so that there can be no circle. Every method adds a
    layer under a name of its own and gives its output.

    Raises:
        InvalidSpec: from every method: a name that is taken, an input that is none of this
            graph's, or shapes that do not fit.
    """

    input: Value
    layers: list[Layer] = field(default_factory=list)
    #: of its convolutions; where the runtime has no such one, a layer before it pads
    padding: PaddingRule = "same"

    @classmethod
    def of_input(cls, size: int, channels: int, padding: PaddingRule = "same") -> LayerGraph:
        """An empty graph whose input is an image of `size` px."""
        return cls(Value(INPUT, channels, size), padding=padding)

    def conv(
        self,
        name: str,
        x: Value,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = "none",
        *,
        groups: int = 1,
        normalised: bool = True,
        padded: bool = True,
    ) -> Value:
        """A convolution to so many channels; not `padded`, where a `pad` went before it."""
        if x.channels % groups or channels % groups:
            raise InvalidSpec(
                f"layer {name}: {x.channels} and {channels} channels are not both a multiple "
                f"of {groups} groups"
            )
        x, padded = self._around(name, x, kernel, stride) if padded else (x, False)
        return self._activated(
            "conv",
            name,
            x,
            channels,
            activation,
            kernel=kernel,
            stride=stride,
            groups=groups,
            normalised=normalised,
            padding=None if padded else (0, 0),
        )

    def depthwise(
        self, name: str, x: Value, kernel: int, stride: int = 1, activation: Activation = "none"
    ) -> Value:
        """A convolution of each channel by itself."""
        x, padded = self._around(name, x, kernel, stride)
        return self._activated(
            "depthwise",
            name,
            x,
            x.channels,
            activation,
            kernel=kernel,
            stride=stride,
            padding=None if padded else (0, 0),
        )

    def dense(self, name: str, x: Value, channels: int, activation: Activation = "none") -> Value:
        """A fully connected layer from numbers to numbers."""
        return self._activated("dense", name, x, channels, activation, normalised=False)

    def mean(self, name: str, x: Value) -> Value:
        """Global average pooling from an image to numbers."""
        return self._add("mean", name, [x])

    def global_average(self, name: str, x: Value) -> Value:
        """Global average pooling that keeps an image of 1x1 px."""
        return self._add("global_average", name, [x])

    def global_max(self, name: str, x: Value) -> Value:
        """Global maximum pooling that keeps an image of 1x1 px."""
        return self._add("global_max", name, [x])

    def average_pool(self, name: str, x: Value, kernel: int, stride: int = 1) -> Value:
        """Mean over windows; what lies outside the image does not count."""
        return self._add("average_pool", name, [x], kernel=kernel, stride=stride)

    def max_pool(self, name: str, x: Value, kernel: int, stride: int = 1) -> Value:
        """Greatest value of each window."""
        return self._add("max_pool", name, [x], kernel=kernel, stride=stride)

    def add(self, name: str, x: Value, other: Value, activation: Activation = "none") -> Value:
        """The sum of two images of one shape."""
        self._require_alike(name, x, other, (x.size,))
        return self._activated("add", name, x, x.channels, activation, further=(other,))

    def multiply(self, name: str, x: Value, other: Value) -> Value:
        """The product of two images; the second may have 1x1 px, a factor for each channel."""
        self._require_alike(name, x, other, (x.size, 1))
        return self._add("multiply", name, [x, other])

    def pad(self, name: str, x: Value, before: int, after: int) -> Value:
        """Zeros around an image, px."""
        return self._add("pad", name, [x], padding=(before, after))

    def shuffle(self, name: str, x: Value, groups: int) -> Value:
        """The first channel of each group, then the second of each, and so on.

        What a convolution in so many groups gives is so dealt out to those of the next one. Source:
        ShuffleNet (CVPR 2018), section 3.1.
        """
        if x.channels % groups:
            raise InvalidSpec(
                f"layer {name}: {x.channels} channels are no multiple of {groups} groups"
            )
        return self._add("shuffle", name, [x], groups=groups)

    def convert(self, name: str, x: Value) -> Value:
        """The same image in the operator's precision."""
        return self._add("convert", name, [x])

    def softmax(self, name: str, x: Value) -> Value:
        """Shares that add up to 1 over the channels of each pixel."""
        return self._add("softmax", name, [x])

    def activate(self, name: str, x: Value, activation: Activation) -> Value:
        """An activation as a layer of its own; `x` itself where there is none."""
        return x if activation == "none" else self._add(activation, name, [x])

    def _around(self, name: str, x: Value, kernel: int, stride: int) -> tuple[Value, bool]:
        """Return a convolution's input, and whether the convolution is still to pad it: SAME."""
        before, (fewest, most) = kernel // 2, same_padding(x.size, kernel, stride)
        if self.padding == "same" or fewest == before:
            return x, True
        # The last row and column of zeros that torch adds are under no window.
        return self.pad(f"{name}_pad", x, before, fewest + most - before), False

    def _activated(
        self,
        kind: LayerKind,
        name: str,
        x: Value,
        channels: int,
        activation: Activation,
        *,
        further: tuple[Value, ...] = (),
        **options: Any,
    ) -> Value:
        fused = activation if activation in _FUSED else None
        inputs = [x, *further]
        y = self._add(kind, name, inputs, channels=channels, activation=fused, **options)
        return y if fused else self.activate(f"{name}_{activation}", y, activation)

    def _add(
        self,
        kind: LayerKind,
        name: str,
        inputs: Sequence[Value],
        *,
        channels: int | None = None,
        **options: Any,
    ) -> Value:
        names = {INPUT, *(layer.name for layer in self.layers)}
        if name in names:
            raise InvalidSpec(f"two layers of one operator are called {name!r}; rename one")
        if unknown := [x.name for x in inputs if x.name not in names]:
            raise InvalidSpec(
                f"layer {name} reads {unknown[0]!r}, which no layer before it gives: a graph of "
                "layers has no circles; give it what a method of the same graph returned"
            )
        first = inputs[0]
        if first.flat != (kind == "dense"):
            wanted = "numbers (see `mean`)" if kind == "dense" else "an image"
            raise InvalidSpec(f"layer {name} is {kind}: expected {wanted}, got {first.shape}")
        layer = Layer(
            name,
            kind,
            first.channels,
            first.channels if channels is None else channels,
            inputs=tuple(x.name for x in inputs),
            **options,
        )
        side = layer.output_side(first.size)
        if side < 1:
            raise InvalidSpec(f"layer {name}: nothing is left of {first.shape}")
        self.layers.append(layer)
        return Value(name, layer.out_channels, side, layer.is_flat)

    @staticmethod
    def _require_alike(name: str, x: Value, other: Value, sizes: tuple[int, ...]) -> None:
        if x.channels != other.channels or other.size not in sizes or other.flat:
            raise InvalidSpec(
                f"layer {name}: {x.shape} and {other.shape} do not go together; expected "
                "two images of one shape"
            )


def walk(layers: Sequence[Layer], given: T, apply: Callable[[Layer, list[T]], T]) -> T:
    """Follow a graph from its input to its output, which is returned.

    Values are let go once no further layer reads them.

    Args:
        layers: of one operator, in order of execution.
        given: the value of its input.
        apply: what a layer makes of the values of its inputs.
    """
    readers = Counter(name for layer in layers for name in layer.inputs)
    values = {INPUT: given}
    value = given
    for layer in layers:
        value = apply(layer, [values[name] for name in layer.inputs])
        readers.subtract(layer.inputs)
        for name in layer.inputs:
            if not readers[name]:
                values.pop(name, None)
        values[layer.name] = value
    return value


def sized(layers: Sequence[Layer], input_size: int) -> list[tuple[Layer, int, int]]:
    """Each layer with the sides (px) of its first input and of its output.

    Args:
        layers: of one operator, in order of execution.
        input_size: side of the operator's input, px.
    """
    found: list[tuple[Layer, int, int]] = []

    def visit(layer: Layer, sides: list[int]) -> int:
        found.append((layer, sides[0], layer.output_side(sides[0])))
        return found[-1][-1]

    walk(layers, input_size, visit)
    return found
