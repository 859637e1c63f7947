"""Dynamic range: int8 weights under float32 activations, which the runtime rounds image by image.

No image is needed to make such a file. What a weighted layer multiplies with is rounded to 255
steps between the least and greatest value of this one image; its sums, bias and output are float32.
Convolutions have a scale for each output channel, dense layers one for all.
Source: the hybrid kernels of TensorFlow Lite, `tensor_utils` of which rounds the inputs.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.quantization import INT8_MAX, INT8_MIN, SMALLEST_SCALE
from search_client.networks.layers import FloatNetwork, OperatorModule, WeightedModule, convolve
from search_client.networks.weightless import activate
from search_client.quantization.fake_quantize import fake_quantize_weight, scales_of


class DynamicRangeLayer(nn.Module):
    """A weighted layer as the runtime computes it, of [N, C, H, H] or [N, C]."""

    def __init__(self, trained: WeightedModule) -> None:
        super().__init__()
        self.layer = trained.layer
        weight, bias = (part.detach().float() for part in trained.folded())
        scales = scales_of(weight)
        if self.layer.kind == "dense":
            scales = scales.max().expand_as(scales)
        rounded = fake_quantize_weight(weight, scales)
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """The activated output."""
        x = _rounded_by_image(x)
        if self.layer.kind == "dense":
            return activate(functional.linear(x, self.weight, self.bias), self.layer.activation)
        return activate(convolve(x, self.layer, self.weight, self.bias), self.layer.activation)


def _rounded_by_image(x: Tensor) -> Tensor:
    """Each image of `x` rounded to int8 codes of the range of its own values and 0."""
    shape = (-1, *[1] * (x.ndim - 1))
    flat = x.flatten(1)
    low, high = flat.amin(1).clamp_max(0.0), flat.amax(1).clamp_min(0.0)
    scale = ((high - low) / (INT8_MAX - INT8_MIN)).clamp_min(SMALLEST_SCALE).reshape(shape)
    zero = torch.round(INT8_MIN - low.reshape(shape) / scale)
    codes = (torch.round(x / scale) + zero).clamp_(INT8_MIN, INT8_MAX)
    return (codes - zero) * scale


def dynamic_range(model: FloatNetwork) -> FloatNetwork:
    """Return a trained network as its dynamic-range file computes it; `model` stays as it is."""
    rounded = copy.deepcopy(model).eval()
    for module in rounded.operators:
        operator = cast("OperatorModule", module)
        for layer in operator.graph:
            if layer.has_weights:
                trained = cast("WeightedModule", operator.chain[layer.name])
                operator.chain[layer.name] = DynamicRangeLayer(trained)
    return rounded
