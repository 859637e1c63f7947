"""Outputs of candidates that run without a graph: fewer passes, and small ones.

In training mode BatchNorm needs a convolution's whole output before it can normalise it. For a
pointwise convolution mean and variance of the output follow from mean and covariance of the
input: Var(W x) = diag(W Cov(x) W'). So BatchNorm folds into the weights beforehand, and all
candidates of a block share the covariance. After the depthwise convolution, ReLU6 of a scaled
and shifted channel is the channel cut at two bounds, then scaled and shifted: the scale joins
the projection's weights, and BatchNorm behind the projection takes the shift away.

No channel of the middle needs another one, so they are taken in groups: the widest tensor of a
block is never whole. Tensors of tens of MiB that come and go cost more in page faults than in
arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from netspec.layers import same_padding
from netspec.operators import Activation
from search_client.modules import ConvLayer, OperatorModule, activate, channels_last

#: most that a group of the middle's channels takes
GROUP_BYTES = 2**24
#: channels of a group are a multiple of these: one cache line
GROUP_CHANNELS = 16
#: places for each channel of the input, from which on its covariance costs less than it saves
LEAST_PLACES = 4
#: a gain nearer to 0 counts as this: what it scales is as good as constant
LEAST_GAIN = 1e-12

_GREATEST: dict[Activation | None, float] = {"relu6": 6.0, "relu": math.inf}


@dataclass(frozen=True)
class Moments:
    """Mean [C] and covariance [C, C] of a block's input over images and places."""

    mean: Tensor
    covariance: Tensor


def moments(x: Tensor) -> Moments:
    """Of an input [N, C, H, W]."""
    rows = _rows(x)
    mean = rows.mean(dim=0)
    covariance = rows.T @ rows / len(rows) - torch.outer(mean, mean)
    return Moments(mean, covariance)


class BlockInput:
    """A block's input, and what its candidates share of it."""

    def __init__(self, x: Tensor) -> None:
        """`x` [N, C, H, W] is laid out NHWC, float32."""
        self.x = x
        self._moments: Moments | None = None
        self._with_ones: dict[tuple[int, int], Tensor] = {}

    @property
    def moments(self) -> Moments | None:
        """Computed when first asked for; None where they do not pay."""
        count, channels, high, wide = self.x.shape
        if self._moments is None and count * high * wide >= LEAST_PLACES * channels:
            self._moments = moments(self.x)
        return self._moments

    def with_ones(self, padding: tuple[int, int]) -> Tensor:
        """The input within zeros, and one more channel that is 1 everywhere but there."""
        if padding not in self._with_ones:
            ones = self.x.new_ones(len(self.x), 1, *self.x.shape[2:])
            wider = torch.cat([self.x, ones], dim=1)
            self._with_ones[padding] = channels_last(functional.pad(wider, (*padding, *padding)))
        return self._with_ones[padding]


@torch.no_grad()
def output(module: OperatorModule, given: BlockInput) -> Tensor:
    """What a candidate in training mode makes of a block's input; statistics stay.

    Args:
        module: an MBConv that projects.
        given: the input.
    """
    layers = {name: cast("ConvLayer", layer) for name, layer in module.chain.named_children()}
    depthwise, project, x = layers["depthwise"], layers["project"], given.x
    projection = project.weight.flatten(1)
    side = math.ceil(x.shape[-1] / depthwise.layer.stride)
    rows = x.new_empty(len(x) * side * side, len(projection))
    for channels, middle in _middles(layers, given):
        cut, gain = _normalised(depthwise, channels, middle)
        matrix = (projection[:, channels] * gain).T
        rows.addmm_(_rows(cut), matrix, beta=1.0 if channels.start else 0.0)
    y = rows.view(len(x), side, side, len(projection)).permute(0, 3, 1, 2)
    norm = project.norm
    y = functional.batch_norm(y, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    return y.add_(x) if module.residual else y


def _middles(layers: dict[str, ConvLayer], given: BlockInput) -> Iterator[tuple[slice, Tensor]]:
    """Groups of channels, and the depthwise convolution's output for each."""
    depthwise, x = layers["depthwise"].layer, given.x
    padding = same_padding(x.shape[-1], depthwise.kernel, depthwise.stride)
    even = padding[0] if padding[0] == padding[1] else 0
    # oneDNN pads alike on both sides only; padding the narrow input beforehand costs less.
    beforehand = (0, 0) if padding[0] == padding[1] else padding
    expansion = None
    if "expand" in layers:
        expansion = _Expansion(layers["expand"], given, beforehand)
    else:
        x = functional.pad(x, (*beforehand, *beforehand))
    per_channel = len(x) * x.shape[2] * x.shape[3] * x.element_size()
    most = max(1, GROUP_BYTES // per_channel // GROUP_CHANNELS) * GROUP_CHANNELS
    for start in range(0, depthwise.out_channels, most):
        channels = slice(start, min(start + most, depthwise.out_channels))
        middle = x[:, channels] if expansion is None else expansion.group(channels)
        weight = layers["depthwise"].weight[channels]
        yield (
            channels,
            functional.conv2d(middle, weight, None, depthwise.stride, even, groups=len(weight)),
        )


class _Expansion:
    """The expanding layer of a candidate, some of its channels at a time.

    Where BatchNorm is folded, the bias is the weight of the channel of ones: in the padding the
    output is 0, as the depthwise convolution wants it.
    """

    def __init__(self, layer: ConvLayer, given: BlockInput, padding: tuple[int, int]) -> None:
        norm, of_input = layer.norm, given.moments
        weight = layer.weight.flatten(1)
        self.activation = layer.layer.activation
        self.padding = padding
        #: None where BatchNorm is folded
        self.norm = None if of_input else norm
        if of_input is None:
            self.weight, self.x = weight.T, given.x
            return
        spread = (weight @ of_input.covariance).mul_(weight).sum(dim=1)
        gain = norm.weight * torch.rsqrt(spread.clamp_min_(0) + norm.eps)
        bias = norm.bias - gain * (weight @ of_input.mean)
        self.weight = torch.cat([(weight * gain[:, None]).T, bias[None]])
        self.x = given.with_ones(padding)

    def group(self, channels: slice) -> Tensor:
        """Activated output [N, channels, H, W], within the padding."""
        weight = self.weight[:, channels].contiguous()
        count, _, high, wide = self.x.shape
        y = (_rows(self.x) @ weight).view(count, high, wide, -1).permute(0, 3, 1, 2)
        if self.norm is None:
            return activate(y, self.activation, inplace=True)
        gain, bias, eps = self.norm.weight[channels], self.norm.bias[channels], self.norm.eps
        y = functional.batch_norm(y, None, None, gain, bias, training=True, eps=eps)
        y = activate(y, self.activation, inplace=True)
        return functional.pad(y, (*self.padding, *self.padding))


def _normalised(layer: ConvLayer, channels: slice, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of channels before BatchNorm: cut in place, and the gain that makes them activated.

    gain * cut differs from the activated output by a constant for each channel.
    """
    norm = layer.norm
    mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
    gain = norm.weight[channels] * torch.rsqrt(variance + norm.eps)
    gain = torch.where(gain.abs() < LEAST_GAIN, LEAST_GAIN, gain)
    # Where gain * (x - mean) + bias is 0, and where it is the activation's greatest value.
    zero = mean - norm.bias[channels] / gain
    full = zero + _GREATEST[layer.layer.activation] / gain
    low, high = (
        bound[:, None, None] for bound in (torch.minimum(zero, full), torch.maximum(zero, full))
    )
    return torch.clamp(x, low, high, out=x), gain


def _rows(x: Tensor) -> Tensor:
    """[N, C, H, W], laid out NHWC, as [N H W, C]; nothing is copied."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
