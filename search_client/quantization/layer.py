"""One layer under fake quantization: weights, activation, and the range of what leaves it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec.layers import ActivationRange, Layer, LayerWeights
from netspec.quantization import (
    FIXED_RANGES,
    GATE_RANGE,
    WIDE_FIXED_RANGES,
    Affine,
    affine_of,
    keeps_scale,
    wide_affine_of,
)
from search_client.networks.layers import ConvLayer, WeightedModule, convolve, to_tflite_layout
from search_client.networks.weightless import activate, weightless
from search_client.quantization.fake_quantize import (
    fake_quantize,
    fake_quantize_folded,
    fake_quantize_weight,
    scales_of,
    with_bias_gradient,
)
from search_client.quantization.ranges import Activations, FakeQuantizedActivation


class QuantizedLayer(nn.Module):
    """A layer with its activation and, in int8, the range of what leaves it."""

    #: whether its range follows from more than what leaves it, and so is not learned
    keeps_range = False

    def __init__(self, layer: Layer, trained: WeightedModule | None, *, int8: bool) -> None:
        super().__init__()
        self.layer = layer
        self.int8 = int8
        self.norm_frozen = False
        #: called with a weighted layer's sums [N, C, ...] before they are activated
        self.on_sums: Callable[[Tensor], None] | None = None
        #: one scale for the whole weight, in place of one an output channel
        self.tensor_scales = False
        #: whether activations have int16 codes
        self.wide = False
        #: None in float32, and where the codes are those of the input
        self.output = _range_of(layer) if int8 else None
        #: of hard-swish, which int8 files compute as a product with a gate that is rounded itself
        self.gate = _Gate() if int8 and layer.kind == "hard_swish" else None
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
            if self.on_sums is not None:
                self.on_sums(y)
        elif self.gate is not None:
            y = x.values * self.gate(x.values)
        else:
            y = weightless(layer, [one.values for one in inputs])
        if not self.int8:
            return Activations(activate(y, layer.activation))
        if self.output is not None:
            return cast("Activations", self.output(y))
        scale, zero_point = cast("tuple[Tensor, Tensor]", x[1:])
        return x._replace(values=fake_quantize(y, scale, zero_point, wide=self.wide))

    def widen(self) -> None:
        """Have int16 codes of activations from now on, under the same ranges."""
        self.wide = True
        if self.output is not None:
            self.output.wide = True
            if self.layer.kind in WIDE_FIXED_RANGES:
                self.output.high.fill_(WIDE_FIXED_RANGES[self.layer.kind].high)
        if self.gate is not None:
            self.gate.widen()

    def _weighted(self, x: Activations) -> Tensor:
        if self.norm is not None and self.training and not self.norm_frozen:
            weight = _rounded(self.weight) if self.int8 else self.weight
            return cast("Tensor", self.norm(convolve(x.values, self.layer, weight)))
        if self.int8:
            weight, bias, _ = self.rounded(self.weight, *self._gain_and_bias(), x)
        else:
            weight, bias = self.folded()
        if self.layer.kind == "dense":
            return functional.linear(x.values, weight, bias)
        return with_bias_gradient(convolve(x.values, self.layer, weight, bias.detach()), bias)

    def rounded(
        self, weight: Tensor, gain: Tensor, bias: Tensor, x: Activations
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A weight [O, ...] times its gain [O], a bias [O], as int8 rounds them, and scales [O]."""
        input_scale = cast("Tensor", x.scale)
        return fake_quantize_folded(weight, gain, bias, input_scale, by_tensor=self.tensor_scales)

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

    def weights(self, source: Affine | None) -> LayerWeights:  # noqa: ARG002 - decides for some kinds
        """Weight and bias as the encoder takes them; it rounds them as `forward` does.

        Args:
            source: what the codes of the input mean, None for float32.
        """
        weight, bias = self.folded()
        return LayerWeights(to_tflite_layout(self.layer, weight), bias.detach().cpu().numpy())

    def output_range(self, source: Affine | None) -> ActivationRange:  # noqa: ARG002 - as above
        """The range of what leaves the layer, in int8 and where it has one of its own.

        Args:
            source: what the codes of the input mean.
        """
        return self.own_range().observed()

    def own_range(self) -> FakeQuantizedActivation:
        """What rounds the output."""
        return cast("FakeQuantizedActivation", self.output)


class _Gate(nn.Module):
    """Hard-sigmoid, rounded to its codes; its range is in no state dict, as it never moves."""

    def __init__(self) -> None:
        super().__init__()
        affine = affine_of(GATE_RANGE)
        self.scale: Tensor
        self.zero_point: Tensor
        self.register_buffer("scale", torch.tensor(affine.scale), persistent=False)
        zero_point = torch.tensor(affine.zero_point, dtype=torch.int32)
        self.register_buffer("zero_point", zero_point, persistent=False)

        self.wide = False

    def widen(self) -> None:
        """Have int16 codes from now on."""
        self.wide = True
        self.scale.fill_(wide_affine_of(GATE_RANGE).scale)
        self.zero_point.zero_()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardsigmoid(x)
        return fake_quantize(y, self.scale, self.zero_point, wide=self.wide)


def _range_of(layer: Layer) -> FakeQuantizedActivation | None:
    if keeps_scale(layer):
        return None
    if layer.kind in FIXED_RANGES:
        return FakeQuantizedActivation.fixed(FIXED_RANGES[layer.kind])
    return FakeQuantizedActivation(layer.activation)


def _rounded(weight: Tensor) -> Tensor:
    return fake_quantize_weight(weight, scales_of(weight))
