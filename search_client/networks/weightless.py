"""What layers without weights compute, in float networks and under fake quantization alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from netspec.errors import UnknownLayer
from netspec.layers import FusedActivation, Layer, LayerKind, same_padding


def activate(x: Tensor, activation: FusedActivation | None, *, inplace: bool = False) -> Tensor:
    """The fused activation of a layer; None leaves `x` as it is."""
    if activation is None:
        return x
    function = functional.relu6 if activation == "relu6" else functional.relu
    return function(x, inplace=inplace)


def weightless(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """The output of a layer without weights, before its fused activation.

    Args:
        layer: of a kind that has no weights.
        inputs: [N, C, H, W] each, in the order of `Layer.inputs`.

    Raises:
        UnknownLayer: there is no such computation here.
    """
    if layer.kind not in _COMPUTATIONS:
        raise UnknownLayer("torch", layer.kind, layer.name)
    return _COMPUTATIONS[layer.kind](layer, *inputs)


def _average_pool(layer: Layer, x: Tensor) -> Tensor:
    sums = functional.avg_pool2d(_padded(x, layer, 0.0), layer.kernel, layer.stride)
    # TFLite divides by the pixels of a window that lie within the image.
    inside = _padded(torch.ones_like(x[:1, :1]), layer, 0.0)
    return sums / functional.avg_pool2d(inside, layer.kernel, layer.stride)


def _max_pool(layer: Layer, x: Tensor) -> Tensor:
    return functional.max_pool2d(_padded(x, layer, -torch.inf), layer.kernel, layer.stride)


def _padded(x: Tensor, layer: Layer, value: float) -> Tensor:
    before, after = same_padding(x.shape[-1], layer.kernel, layer.stride)
    return functional.pad(x, (before, after, before, after), value=value)


def _pad(layer: Layer, x: Tensor) -> Tensor:
    before, after = cast("tuple[int, int]", layer.padding)
    return functional.pad(x, (before, after, before, after))


def _shuffle(layer: Layer, x: Tensor) -> Tensor:
    # Pixel by pixel, as the values lie in memory.
    pixels = x.permute(0, 2, 3, 1)
    dealt = pixels.reshape(*pixels.shape[:3], layer.groups, -1).transpose(3, 4).flatten(3)
    return dealt.permute(0, 3, 1, 2)


_COMPUTATIONS: dict[LayerKind, Callable[..., Tensor]] = {
    "mean": lambda _, x: x.mean((2, 3)),
    "global_average": lambda _, x: x.mean((2, 3), keepdim=True),
    "global_max": lambda _, x: x.amax((2, 3), keepdim=True),
    "average_pool": _average_pool,
    "max_pool": _max_pool,
    "add": lambda _, x, other: x + other,
    "multiply": lambda _, x, other: x * other,
    "relu": lambda _, x: functional.relu(x),
    "relu6": lambda _, x: functional.relu6(x),
    "hard_swish": lambda _, x: functional.hardswish(x),
    "hard_sigmoid": lambda _, x: functional.hardsigmoid(x),
    "sigmoid": lambda _, x: x.sigmoid(),
    "softmax": lambda _, x: x.softmax(1),
    "pad": _pad,
    "shuffle": _shuffle,
    # a precision is no matter of torch
    "convert": lambda _, x: x,
}
