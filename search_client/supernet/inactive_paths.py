"""Outputs of candidates that run without a graph: fewer passes, and small ones.

That is for inverted bottlenecks, whatever operator they come from: expand, depthwise, project, and
perhaps an addition. Candidates of any other layers run the plain way.

In training mode BatchNorm needs a convolution's whole output before it can normalise it. For a
pointwise convolution mean and variance of the output follow from mean and covariance of the
input: Var(W x) = diag(W Cov(x) W'). So BatchNorm folds into the weights beforehand, and all
candidates of a block share the covariance. After the depthwise convolution, ReLU6 of a scaled
and shifted channel is the channel cut at two bounds, then scaled and shifted: the scale joins
the projection's weights, and BatchNorm behind the projection takes the shift away.

No channel of the middle needs another one, so they are taken in groups: the widest tensor of a
block is never whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from netspec.layers import INPUT, FusedActivation, Layer, same_padding
from search_client.networks.layers import ConvLayer, OperatorModule
from search_client.networks.weightless import activate
from search_client.supernet.block_input import BlockInput, rows_of

#: most that a group of the middle's channels takes
GROUP_BYTES = 2**24
#: channels of a group are a multiple of these: one cache line
GROUP_CHANNELS = 16
#: a gain nearer to 0 counts as this: what it scales is as good as constant
LEAST_GAIN = 1e-12
#: layers of an inverted bottleneck beside expansion and addition
_FILTER_AND_PROJECT = 2

_GREATEST: dict[FusedActivation | None, float] = {"relu6": 6.0, "relu": math.inf}


@dataclass(frozen=True)
class _Bottleneck:
    """What inverted bottlenecks must have in common to run as one."""

    #: names of the layers; None: nothing is expanded
    expand: str | None
    depthwise: str
    project: str
    kernel: int
    stride: int
    #: of the expanding and of the depthwise layer
    activations: tuple[FusedActivation | None, FusedActivation | None]
    residual: bool

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> _Bottleneck | None:
        """What the layers are as an inverted bottleneck; None: something else."""
        chain = [*layers]
        residual = chain[-1].kind == "add"
        if residual:
            added = set(chain.pop().inputs)
            if not chain or added != {INPUT, chain[-1].name}:
                return None
        expand = chain.pop(0) if _is_pointwise(chain[0]) else None
        if len(chain) != _FILTER_AND_PROJECT:
            return None
        depthwise, project = chain
        names = [INPUT, *(layer.name for layer in (expand, depthwise) if layer is not None)]
        follow = [layer for layer in (expand, depthwise, project) if layer is not None]
        if (
            any(layer.inputs != (name,) for layer, name in zip(follow, names, strict=True))
            or depthwise.kind != "depthwise"
            or depthwise.padding is not None
            or depthwise.activation is None
            or not _is_pointwise(project)
            or project.activation is not None
        ):
            return None
        return cls(
            expand=None if expand is None else expand.name,
            depthwise=depthwise.name,
            project=project.name,
            kernel=depthwise.kernel,
            stride=depthwise.stride,
            activations=(None if expand is None else expand.activation, depthwise.activation),
            residual=residual,
        )


def _is_pointwise(layer: Layer) -> bool:
    window = (layer.kernel, layer.stride, layer.groups)
    return layer.kind == "conv" and window == (1, 1, 1) and layer.normalised


def outputs(modules: Sequence[OperatorModule], given: BlockInput) -> Iterator[Tensor]:
    """What candidates in training mode make of a block's input; statistics stay.

    Neighbours of one form run as one, which takes fewer and larger operations.

    Args:
        modules: candidates of one block.
        given: the input.
    """
    for form, alike in groupby(modules, lambda module: _Bottleneck.of(module.graph)):
        if form is None:
            yield from (_plain(module, given.x) for module in alike)
        else:
            yield from _together(form, list(alike), given)


@torch.no_grad()
def _plain(module: OperatorModule, x: Tensor) -> Tensor:
    return cast("Tensor", module(x))


@torch.no_grad()
def _together(
    form: _Bottleneck, modules: Sequence[OperatorModule], given: BlockInput
) -> list[Tensor]:
    """Outputs of candidates of one form."""
    x, depthwise = given.x, _Layers.of(modules, form.depthwise)
    projections = [cast("ConvLayer", module.chain[form.project]) for module in modules]
    matrices = [layer.weight.flatten(1).T for layer in projections]
    side = math.ceil(x.shape[-1] / form.stride)
    places = len(x) * side * side
    results = [x.new_empty(places, matrix.shape[1]) for matrix in matrices]
    for channels, middle in _middles(form, modules, depthwise, given):
        cut, gain = _normalised(depthwise, channels, middle)
        rows, first = rows_of(cut), 0
        for matrix, result in zip(matrices, results, strict=True):
            low, high = max(channels.start, first), min(channels.stop, first + len(matrix))
            if low < high:
                here = slice(low - channels.start, high - channels.start)
                scaled = matrix[low - first : high - first] * gain[here, None]
                result.addmm_(rows[:, here], scaled, beta=0.0 if low == first else 1.0)
            first += len(matrix)
    finished = []
    for layer, result in zip(projections, results, strict=True):
        norm, y = layer.norm, result.view(len(x), side, side, -1).permute(0, 3, 1, 2)
        gain, bias = norm.weight, norm.bias
        y = functional.batch_norm(y, None, None, gain, bias, training=True, eps=norm.eps)
        finished.append(y.add_(x) if form.residual else y)
    return finished


@dataclass(frozen=True)
class _Layers:
    """A layer of several candidates as one: their channels one after another."""

    layer: Layer
    weight: Tensor
    #: of BatchNorm
    gain: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, modules: Sequence[OperatorModule], name: str) -> _Layers:
        """The layer of that name."""
        layers = [cast("ConvLayer", module.chain[name]) for module in modules]
        first = layers[0]
        if len(layers) == 1:
            return cls(
                first.layer, first.weight, first.norm.weight, first.norm.bias, first.norm.eps
            )
        return cls(
            first.layer,
            torch.cat([layer.weight for layer in layers]),
            torch.cat([layer.norm.weight for layer in layers]),
            torch.cat([layer.norm.bias for layer in layers]),
            first.norm.eps,
        )


def _middles(
    form: _Bottleneck, modules: Sequence[OperatorModule], depthwise: _Layers, given: BlockInput
) -> Iterator[tuple[slice, Tensor]]:
    """Groups of channels, and the depthwise convolution's output for each."""
    layer, x = depthwise.layer, given.x
    padding = same_padding(x.shape[-1], layer.kernel, layer.stride)
    even = padding[0] if padding[0] == padding[1] else 0
    # oneDNN pads alike on both sides only; padding the narrow input beforehand costs less.
    beforehand = (0, 0) if padding[0] == padding[1] else padding
    expansion = None
    if form.expand is not None:
        expansion = _Expansion(_Layers.of(modules, form.expand), given, beforehand)
    else:
        x = _padded(x, beforehand)
    per_channel = len(x) * x.shape[2] * x.shape[3] * x.element_size()
    most = max(1, GROUP_BYTES // per_channel // GROUP_CHANNELS) * GROUP_CHANNELS
    for start in range(0, len(depthwise.weight), most):
        channels = slice(start, min(start + most, len(depthwise.weight)))
        middle = x[:, channels] if expansion is None else expansion.group(channels)
        weight = depthwise.weight[channels]
        yield (
            channels,
            functional.conv2d(middle, weight, None, layer.stride, even, groups=len(weight)),
        )


class _Expansion:
    """The expanding layer of candidates, some of its channels at a time.

    Where BatchNorm is folded, the bias is the weight of the channel of ones: in the padding the
    output is 0, as the depthwise convolution wants it.
    """

    def __init__(self, layers: _Layers, given: BlockInput, padding: tuple[int, int]) -> None:
        of_input = given.moments
        weight = layers.weight.flatten(1)
        self.layers = layers
        self.padding = padding
        self.folded = of_input is not None
        if of_input is None:
            self.weight, self.x = weight, given.x
            return
        spread = (weight @ of_input.covariance).mul_(weight).sum(dim=1)
        gain = layers.gain * torch.rsqrt(spread.clamp_min_(0) + layers.eps)
        bias = layers.bias - gain * (weight @ of_input.mean)
        self.weight = torch.cat([weight * gain[:, None], bias[:, None]], dim=1)
        self.x = given.with_ones(padding)

    def group(self, channels: slice) -> Tensor:
        """Activated output [N, channels, H, W], within the padding."""
        layers = self.layers
        count, _, high, wide = self.x.shape
        y = rows_of(self.x) @ self.weight[channels].T
        y = y.view(count, high, wide, -1).permute(0, 3, 1, 2)
        if self.folded:
            return activate(y, layers.layer.activation, inplace=True)
        gain, bias = layers.gain[channels], layers.bias[channels]
        y = functional.batch_norm(y, None, None, gain, bias, training=True, eps=layers.eps)
        y = activate(y, layers.layer.activation, inplace=True)
        return _padded(y, self.padding)


def _normalised(layers: _Layers, channels: slice, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of channels before BatchNorm: cut in place, and the gain that makes them activated.

    gain * cut differs from the activated output by a constant for each channel.
    """
    mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
    gain = layers.gain[channels] * torch.rsqrt(variance + layers.eps)
    gain = torch.where(gain.abs() < LEAST_GAIN, LEAST_GAIN, gain)
    # Where gain * (x - mean) + bias is 0, and where it is the activation's greatest value.
    zero = mean - layers.bias[channels] / gain
    full = zero + _GREATEST[layers.layer.activation] / gain
    low, high = (
        bound[:, None, None] for bound in (torch.minimum(zero, full), torch.maximum(zero, full))
    )
    return torch.clamp(x, low, high, out=x), gain


def _padded(x: Tensor, padding: tuple[int, int]) -> Tensor:
    """Within zeros; torch copies even where there is nothing to add."""
    return functional.pad(x, (*padding, *padding)) if any(padding) else x
