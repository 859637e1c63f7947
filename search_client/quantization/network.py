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
    walk,
)
from netspec.networks import Network
from netspec.operators import Convert, Operator
from netspec.quantization import FIXED_RANGES, keeps_scale
from search_client.networks.layers import (
    ConvLayer,
    FloatNetwork,
    OperatorModule,
    WeightedModule,
    channels_last,
    convolve,
    to_tflite_layout,
)
from search_client.networks.weightless import activate, weightless
from search_client.quantization.fake_quantize import (
    fake_quantize,
    fake_quantize_bias,
    fake_quantize_folded,
    fake_quantize_weight,
    scales_of,
)
from search_client.quantization.pixels import PIXEL_RANGE, PixelInput, fold_normalisation
from search_client.quantization.ranges import Activations, FakeQuantizedActivation


class QuantizedLayer(nn.Module):
    """A layer with its activation and, in int8, the range of what leaves it."""

    def __init__(self, layer: Layer, trained: WeightedModule | None, *, int8: bool) -> None:
        super().__init__()
        self.layer = layer
        self.int8 = int8
        self.norm_frozen = False
        #: None in float32, and where the codes are those of the input
        self.output = _range_of(layer) if int8 else None
        self.norm: nn.BatchNorm2d | None = None
        if trained is not None:
            self.weight = nn.Parameter(trained.weight.detach().clone())
        if isinstance(trained, ConvLayer):
            self.norm = copy.deepcopy(trained.norm)
        elif trained is not None:
            self.bias = nn.Parameter(trained.bias.detach().clone())

    def forward(self, *inputs: Activations) -> Activations:
        """The output, fake-quantized in int8.

        Args:
            inputs: in the order of `Layer.inputs`.
        """
        layer, x = self.layer, inputs[0]
        if layer.has_weights:
            y = self._weighted(x)
        else:
            y = weightless(layer, [one.values for one in inputs])
        if not self.int8:
            return Activations(activate(y, layer.activation))
        if self.output is not None:
            return cast("Activations", self.output(y))
        scale, zero_point = cast("tuple[Tensor, Tensor]", x[1:])
        return x._replace(values=fake_quantize(y, scale, zero_point))

    def _weighted(self, x: Activations) -> Tensor:
        if self.norm is not None and self.training and not self.norm_frozen:
            weight = _rounded(self.weight) if self.int8 else self.weight
            return cast("Tensor", self.norm(convolve(x.values, self.layer, weight)))
        if self.int8:
            gain, bias = self._gain_and_bias()
            weight, scales = fake_quantize_folded(self.weight, gain)
            bias = fake_quantize_bias(bias, cast("Tensor", x.scale) * scales)
        else:
            weight, bias = self.folded()
        if self.layer.kind == "dense":
            return functional.linear(x.values, weight, bias)
        return convolve(x.values, self.layer, weight, bias)

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


def _range_of(layer: Layer) -> FakeQuantizedActivation | None:
    if keeps_scale(layer):
        return None
    if layer.kind in FIXED_RANGES:
        return FakeQuantizedActivation.fixed(FIXED_RANGES[layer.kind])
    return FakeQuantizedActivation(layer.activation)


def _rounded(weight: Tensor) -> Tensor:
    return fake_quantize_weight(weight, scales_of(weight))


class QuantizedOperator(nn.Module):
    """The layers of one operator, each with what it learned in the float network."""

    def __init__(self, operator: Operator, trained: OperatorModule | None) -> None:
        super().__init__()
        self.graph = operator.layers
        self.layers = nn.ModuleDict(
            {
                layer.name: QuantizedLayer(
                    layer,
                    cast("WeightedModule", trained.chain[layer.name])
                    if trained is not None and layer.has_weights
                    else None,
                    int8=operator.precision == "int8",
                )
                for layer in self.graph
            }
        )

    def forward(self, x: Activations) -> Activations:
        """The operator's output."""
        return walk(self.graph, x, self._layer)

    def _layer(self, layer: Layer, inputs: list[Activations]) -> Activations:
        return cast("Activations", self.layers[layer.name](*inputs))


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
            stem = next(layer for layer in self.layers() if layer.layer.has_weights)
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
        x = channels_last(x)
        flowing = Activations(x) if self.input is None else cast("Activations", self.input(x))
        for operator in self.operators:
            flowing = operator(flowing)
        return flowing.values

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
