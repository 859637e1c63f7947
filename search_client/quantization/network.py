"""A network as its int8 file computes it, in torch, so that it can be finetuned.

Scheme: weights keep their BatchNorm. While BatchNorm follows the batches, the weight is rounded
under its own greatest magnitudes, which gives the codes of the folded weight (a gain scales a
channel's weights and their step alike), and the output is normalised by the batch: what folding
with batch statistics would give, with one convolution instead of two. Once BatchNorm is frozen,
and in evaluation mode, its running statistics are folded into weight and bias, and what runs is
exactly what is exported. Source of the aim: Jacob et al. (CVPR 2018), section 3.2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self, cast

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
from netspec.operators import Convert, Operator
from search_client.networks.layers import (
    ConvLayer,
    DenseLayer,
    FloatNetwork,
    OperatorModule,
    activate,
    channels_last,
    convolve,
    to_tflite_layout,
)
from search_client.quantization.fake_quantize import (
    fake_quantize_bias,
    fake_quantize_folded,
    fake_quantize_weight,
    scales_of,
)
from search_client.quantization.pixels import PIXEL_RANGE, PixelInput, fold_normalisation
from search_client.quantization.ranges import FakeQuantizedActivation


class QuantizedLayer(nn.Module):
    """A layer with its activation and, in int8, the range of what leaves it."""

    def __init__(self, layer: Layer, trained: ConvLayer | DenseLayer | None, *, int8: bool) -> None:
        super().__init__()
        self.layer = layer
        self.norm_frozen = False
        self.output = FakeQuantizedActivation(layer.activation) if int8 else None
        self.norm: nn.BatchNorm2d | None = None
        if trained is not None:
            self.weight = nn.Parameter(trained.weight.detach().clone())
        if isinstance(trained, ConvLayer):
            self.norm = copy.deepcopy(trained.norm)
        elif isinstance(trained, DenseLayer):
            self.bias = nn.Parameter(trained.bias.detach().clone())

    def forward(
        self, x: Tensor, operator_input: Tensor, input_scale: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The output, fake-quantized in int8, and the scale of its codes.

        Args:
            x: the output of the layer before.
            operator_input: the input of the operator, which `add` adds.
            input_scale: of the codes of `x`; None where it has none.
        """
        match self.layer.kind:
            case "add":
                y = x + operator_input
            case "mean":
                y = x.mean((2, 3))
            case "convert":
                y = x
            case _:
                y = self._weighted(x, input_scale)
        if self.output is None:
            return activate(y, self.layer.activation), None
        return cast("tuple[Tensor, Tensor]", self.output(y))

    def _weighted(self, x: Tensor, input_scale: Tensor | None) -> Tensor:
        if self.norm is not None and self.training and not self.norm_frozen:
            weight = self.weight if self.output is None else _rounded(self.weight)
            return cast("Tensor", self.norm(convolve(x, self.layer, weight)))
        if self.output is None:
            weight, bias = self.folded()
        else:
            gain, bias = self._gain_and_bias()
            weight, scales = fake_quantize_folded(self.weight, gain)
            bias = fake_quantize_bias(bias, cast("Tensor", input_scale) * scales)
        if self.layer.kind == "dense":
            return functional.linear(x, weight, bias)
        return convolve(x, self.layer, weight, bias)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [O, ...] and bias [O] with the running statistics folded in, differentiable."""
        gain, bias = self._gain_and_bias()
        return self.weight * gain.reshape(-1, *[1] * (self.weight.ndim - 1)), bias

    def _gain_and_bias(self) -> tuple[Tensor, Tensor]:
        """What BatchNorm multiplies each output channel by and adds to it, both [O]."""
        norm = self.norm
        if norm is None:
            return torch.ones_like(self.bias), self.bias
        mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
        gain = norm.weight * torch.rsqrt(variance + norm.eps)
        return gain, norm.bias - mean * gain

    def weights(self) -> LayerWeights:
        """Weight and bias as the encoder takes them; it rounds them as `forward` does."""
        weight, bias = self.folded()
        return LayerWeights(to_tflite_layout(self.layer, weight), bias.detach().cpu().numpy())


def _rounded(weight: Tensor) -> Tensor:
    return fake_quantize_weight(weight, scales_of(weight))


class QuantizedOperator(nn.Module):
    """The layers of one operator, each with what it learned in the float network."""

    def __init__(self, operator: Operator, trained: OperatorModule | None) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        held = {} if trained is None else dict(trained.chain.named_children())
        for layer in layers_of(operator):
            module = held.get(layer.name) if layer.has_weights else None
            self.layers[layer.name] = QuantizedLayer(
                layer,
                cast("ConvLayer | DenseLayer | None", module),
                int8=operator.precision == "int8",
            )

    def forward(self, x: Tensor, input_scale: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The operator's output, and the scale of its codes where it has any."""
        y, scale = x, input_scale
        for layer in self.layers.values():
            y, scale = layer(y, x, scale)
        return y, scale


class QuantizedNetwork(nn.Module):
    """A network under fake quantization: normalised images [N, 3, H, W] to logits [N, classes].

    Build it with `from_float`, then let it see batches in train mode before it is evaluated.
    """

    def __init__(self, network: Network, model: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        trained = iter(model.operators)
        self.operators = nn.ModuleList(
            QuantizedOperator(
                operator,
                None if isinstance(operator, Convert) else cast("OperatorModule", next(trained)),
            )
            for operator in network.operators
        )
        #: None where the stem is float32 and takes normalised images
        self.input = PixelInput() if network.operators[0].precision == "int8" else None
        if self.input is not None:
            stem = next(self.layers())
            fold_normalisation(stem.weight, cast("nn.BatchNorm2d", stem.norm))

    @classmethod
    def from_float(cls, model: FloatNetwork, network: Network | None = None) -> Self:
        """Start from a trained network, on its device; ranges are still to be observed.

        Args:
            model: trained; stays as it is.
            network: the same operators in the precisions wanted, with conversions between them;
                None: all int8.
        """
        device = next(model.parameters()).device
        return cls(network or model.network.with_precision("int8"), model).to(device)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x, scale = channels_last(x), None
        if self.input is not None:
            x, scale = self.input(x)
        for operator in self.operators:
            x, scale = operator(x, scale)
        return x

    def layers(self) -> Iterator[QuantizedLayer]:
        """Every layer in order of execution."""
        for operator in self.operators:
            for layer in cast("QuantizedOperator", operator).layers.values():
                yield cast("QuantizedLayer", layer)

    def freeze_norms(self) -> None:
        """Fold BatchNorm with its running statistics from now on."""
        for layer in self.layers():
            layer.norm_frozen = True

    def freeze_ranges(self) -> None:
        """Keep all ranges from now on, so that weights settle under final scales."""
        for layer in self.layers():
            if layer.output is not None:
                layer.output.freeze()

    def parameters_for_export(self) -> Parameters:
        """What `netspec.tflite.encode` needs to write `network`."""
        weights: dict[str, LayerWeights] = {}
        ranges: dict[str, ActivationRange] = {} if self.input is None else {INPUT: PIXEL_RANGE}
        for index, operator in enumerate(self.operators):
            for module in cast("QuantizedOperator", operator).layers.values():
                layer = cast("QuantizedLayer", module)
                name = layer_name(index, layer.layer)
                if layer.output is not None:
                    ranges[name] = layer.output.observed()
                if layer.layer.has_weights:
                    weights[name] = layer.weights()
        return Parameters(weights, ranges)
