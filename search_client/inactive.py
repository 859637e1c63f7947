"""Outputs of candidates that an architecture step only compares: no graph, fewer passes.

In training mode BatchNorm needs a convolution's whole output before it can normalise it. For a
pointwise convolution mean and variance of the output follow from mean and covariance of the
input: Var(W x) = diag(W Cov(x) W'). So BatchNorm folds into the weights beforehand, the widest
tensor of a block is written once, and all candidates of a block share the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from search_client.modules import ConvLayer, OperatorModule, activate, convolve


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


@torch.no_grad()
def output(module: OperatorModule, x: Tensor, of_input: Moments) -> Tensor:
    """What a candidate in training mode makes of `x` [N, C, H, W]; statistics stay.

    Args:
        module: an MBConv that expands, projects and has no running statistics to update.
        x: the block's input, laid out NHWC, float32.
        of_input: of `x`.
    """
    layers = {name: cast("ConvLayer", layer) for name, layer in module.chain.named_children()}
    middle = x
    if "expand" in layers:
        middle = _expanded(layers["expand"], x, of_input)
    depthwise = layers["depthwise"]
    middle = _activated(
        depthwise, _normalised(depthwise, convolve(middle, depthwise.layer, depthwise.weight))
    )
    project = layers["project"]
    y = _normalised(project, _pointwise(middle, _matrix(project)))
    return y.add_(x) if module.residual else y


def _expanded(layer: ConvLayer, x: Tensor, of_input: Moments) -> Tensor:
    weight, norm = _matrix(layer), layer.norm
    variance = ((weight @ of_input.covariance) * weight).sum(dim=1).clamp_min(0)
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    bias = norm.bias - gain * (weight @ of_input.mean)
    return _activated(layer, _pointwise(x, weight * gain[:, None], bias))


def _pointwise(x: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution by oneDNN, which torch itself passes over for small batches."""
    weight = matrix[:, :, None, None]
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return torch.mkldnn_convolution(x, weight, bias, (0, 0), (1, 1), (1, 1), 1)
    return functional.conv2d(x, weight, bias)


def _normalised(layer: ConvLayer, x: Tensor) -> Tensor:
    norm = layer.norm
    return functional.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


def _activated(layer: ConvLayer, x: Tensor) -> Tensor:
    return activate(x, layer.layer.activation, inplace=True)


def _matrix(layer: ConvLayer) -> Tensor:
    """A pointwise convolution's weight [O, I]."""
    return layer.weight.flatten(1)


def _rows(x: Tensor) -> Tensor:
    """[N, C, H, W], laid out NHWC, as [N H W, C]; nothing is copied."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
