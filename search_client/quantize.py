"""A network as its int8 file computes it, in torch, so that it can be finetuned.

Scheme: a trained network's BatchNorm is folded with its running statistics, once, before
finetuning, and the folded weights are trained. Statistics have converged by then, so
nothing of BatchNorm is left to learn, and what is trained is exactly what is exported.
"""

from __future__ import annotations

from typing import Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.layers import (
    INPUT,
    ActivationRange,
    Layer,
    LayerWeights,
    Parameters,
    layer_name,
    layers_of,
)
from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from netspec.quantization import SMALLEST_SCALE, WEIGHT_MAX
from search_client.modules import (
    FloatNetwork,
    activate,
    channels_last,
    convolve,
    folded_parameters,
    to_tflite_layout,
    to_torch_layout,
)
from search_client.ranges import FakeQuantizedActivation


def scales_of(weight: Tensor) -> Tensor:
    """Symmetric scale [O] of each output channel, as `netspec.quantization.weight_scales`."""
    greatest = weight.detach().abs().flatten(1).amax(dim=1)
    return (greatest / WEIGHT_MAX).clamp_min(SMALLEST_SCALE)


def fake_quantized_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """A weight [O, ...] rounded to its int8 codes under scales [O]."""
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -WEIGHT_MAX, WEIGHT_MAX)


def fake_quantized_bias(bias: Tensor, steps: Tensor) -> Tensor:
    """A bias [O] rounded to steps [O] of input scale * weight scale; gradients pass."""
    detached = bias.detach()
    return bias + (torch.round(detached / steps) * steps - detached)


class QuantizedLayer(nn.Module):
    """A layer with its activation, and the range of what leaves it."""

    def __init__(self, layer: Layer, weights: LayerWeights | None) -> None:
        super().__init__()
        self.layer = layer
        self.output = FakeQuantizedActivation()
        if weights is not None:
            self.weight = nn.Parameter(to_torch_layout(layer, weights.weight))
            self.bias = nn.Parameter(torch.from_numpy(weights.bias.copy()))

    def forward(
        self, x: Tensor, operator_input: Tensor, input_scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The fake-quantized output and the scale of its codes.

        Args:
            x: the output of the layer before.
            operator_input: the input of the operator, which `add` adds.
            input_scale: of the codes of `x`.
        """
        if self.layer.has_weights:
            y = self._weighted(x, input_scale)
        else:
            y = x.mean((2, 3)) if self.layer.kind == "mean" else x + operator_input
        return cast("tuple[Tensor, Tensor]", self.output(activate(y, self.layer.activation)))

    def _weighted(self, x: Tensor, input_scale: Tensor) -> Tensor:
        scales = scales_of(self.weight)
        weight = fake_quantized_weight(self.weight, scales)
        bias = fake_quantized_bias(self.bias, input_scale * scales)
        if self.layer.kind == "dense":
            return functional.linear(x, weight, bias)
        return convolve(x, self.layer, weight, bias)

    def weights(self) -> LayerWeights:
        """Weight and bias as the encoder takes them; it rounds them as `forward` does."""
        return LayerWeights(
            weight=to_tflite_layout(self.layer, self.weight),
            bias=self.bias.detach().cpu().numpy().astype(np.float32),
        )


class QuantizedOperator(nn.Module):
    """The layers of one operator; `weights` holds those of the whole network by layer name."""

    def __init__(
        self,
        index: int,
        operator: StemConv | MBConv | HeadConv | Classifier,
        weights: dict[str, LayerWeights],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        for layer in layers_of(operator):
            self.layers[layer.name] = QuantizedLayer(layer, weights.get(layer_name(index, layer)))

    def forward(self, x: Tensor, input_scale: Tensor) -> tuple[Tensor, Tensor]:
        """The operator's fake-quantized output and the scale of its codes."""
        y, scale = x, input_scale
        for layer in self.layers.values():
            y, scale = layer(y, x, scale)
        return y, scale


class QuantizedNetwork(nn.Module):
    """A network under fake quantization: normalised images [N, 3, H, W] to logits [N, classes].

    Build it with `from_float`, then let it see batches in train mode before it is evaluated.
    """

    def __init__(self, network: Network, weights: dict[str, LayerWeights]) -> None:
        super().__init__()
        self.network = network
        self.input = FakeQuantizedActivation()
        self.operators = nn.ModuleList(
            QuantizedOperator(index, operator, weights)
            for index, operator in enumerate(network.operators)
        )

    @classmethod
    def from_float(cls, model: FloatNetwork) -> Self:
        """Fold a trained network, on its device; ranges are still to be observed."""
        device = next(model.parameters()).device
        return cls(model.network, folded_parameters(model)).to(device)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x, scale = self.input(channels_last(x))
        for operator in self.operators:
            x, scale = operator(x, scale)
        return x

    def freeze_ranges(self) -> None:
        """Keep all ranges from now on, so that weights settle under final scales."""
        for module in self.modules():
            if isinstance(module, FakeQuantizedActivation):
                module.freeze()

    def parameters_for_export(self) -> Parameters:
        """What `netspec.tflite.encode` needs to write the network in int8."""
        weights: dict[str, LayerWeights] = {}
        ranges: dict[str, ActivationRange] = {INPUT: self.input.observed()}
        for index, operator in enumerate(self.operators):
            for module in cast("QuantizedOperator", operator).layers.values():
                layer = cast("QuantizedLayer", module)
                name = layer_name(index, layer.layer)
                ranges[name] = layer.output.observed()
                if layer.layer.has_weights:
                    weights[name] = layer.weights()
        return Parameters(weights, ranges)
