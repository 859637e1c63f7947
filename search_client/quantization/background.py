"""A classifier whose background class is silent in int8: no input makes it the greatest.

The background shares a class's weights, and its bias is lower (`networks.classes`). In int8 both
logits are the same sum of codes plus a bias, times the same factor, rounded and cut to 8 bits. So
what the biases must differ by follows from the scales alone:

- by a step of the output and an eighth, so that rounding leaves a step between the two codes;
- by so much that the background's greatest logit stays below the greatest code, for all codes that
  the classifier's input can have: else both would be cut to the same one.

Then its code is below that of the class, or both are the least code, -128. The output's range
begins so low that some class is above that code whatever the input: the greatest logit is never
below the mean of all logits, which is the logit of the classes' mean weights, and its least value
over all inputs is a sum of products. The bounds are computed again from the weights whenever they
move, so they hold during finetuning and after it.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from netspec.layers import ActivationRange, Layer, LayerWeights
from netspec.quantization import INT8_MAX, INT8_MIN, Affine
from search_client.networks.classes import LEAST_GAP
from search_client.networks.layers import DenseLayer, to_tflite_layout
from search_client.quantization.fake_quantize import fake_quantize
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.ranges import Activations, affine_tensors

#: of a step of the output: what the arithmetic of runtimes may lose in 32 bits is far less
_SPARE = 1 / 8
_CODES = INT8_MAX - INT8_MIN


class BackgroundClassifier(QuantizedLayer):
    """A fully connected layer whose row 0, a background's, is that of a class less a constant."""

    keeps_range = True

    def __init__(self, layer: Layer, trained: DenseLayer, *, int8: bool) -> None:
        super().__init__(layer, trained, int8=int8)
        if trained.background is None:
            raise ValueError(f"layer {layer.name} has no background")
        #: whose row the background's is, counted without the background
        self.shared = trained.background - 1

    def forward(self, *inputs: Activations) -> Activations:
        """The logits, the background's first and without a gradient."""
        x = inputs[0]
        weight, bias, scales = self._rounded_rows(x)
        logits = functional.linear(x.values, weight, bias)
        of_class = logits[:, self.shared : self.shared + 1].detach()
        if not self.int8:
            return Activations(torch.cat([of_class - self._float_gap(bias), logits], 1))
        output = self.own_range()
        if self.training and not output.frozen:
            # The background's own logits are far below what is worth a code.
            output.observe(logits)
        scale, zero_point = affine_tensors(*self._range(x, weight, bias))
        lower = self._lower(x, weight, bias, scales, (scale, zero_point))
        gap = (bias[self.shared] - lower).float()
        rounded = fake_quantize(torch.cat([of_class - gap, logits], 1), scale, zero_point)
        return Activations(rounded, scale, zero_point)

    def weights(self, source: Affine | None) -> LayerWeights:
        """Weight and bias as the encoder takes them, the background's row first."""
        x = _of_affine(source)
        with torch.no_grad():
            weight, bias, scales = self._rounded_rows(x)
            if self.int8:
                affine = affine_tensors(*self._range(x, weight, bias))
                lower = self._lower(x, weight, bias, scales, affine).float()
            else:
                lower = bias[self.shared] - self._float_gap(bias)
        rows = torch.cat([self.weight[1:][self.shared][None], self.weight[1:]])
        biases = torch.cat([lower[None], self.bias[1:]])
        return LayerWeights(to_tflite_layout(self.layer, rows), biases.detach().cpu().numpy())

    def output_range(self, source: Affine | None) -> ActivationRange:
        """The range of the output's codes, in which some class is above the least one."""
        x = _of_affine(source)
        with torch.no_grad():
            weight, bias, _ = self._rounded_rows(x)
            low, high = self._range(x, weight, bias)
        return ActivationRange(min(low.item(), 0.0), max(high.item(), 0.0))

    def _rounded_rows(self, x: Activations) -> tuple[Tensor, Tensor, Tensor]:
        """Weight [K, I], bias [K] and, in int8, scales [K] of the classes, not the background."""
        weight, bias = self.weight[1:], self.bias[1:]
        if not self.int8:
            return weight, bias, torch.ones_like(bias)
        return self.rounded(weight, torch.ones_like(bias), bias, x)

    def _range(self, x: Activations, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Ends of the output's range."""
        output = self.own_range()
        mean = weight.detach().double().mean(0)
        least = (
            bias.detach().double().mean() + torch.minimum(*(mean * end for end in _ends(x))).sum()
        )
        high = output.high.double().clamp_min(0)
        # Where a range begins half a step is lost to the rounding of its zero point: half of one is
        # spare.
        share = 1.5 / _CODES
        bound = (least - share * high) / (1 - share)
        return torch.minimum(output.low.double(), bound), high

    def _lower(
        self,
        x: Activations,
        weight: Tensor,
        bias: Tensor,
        scales: Tensor,
        output: tuple[Tensor, Tensor],
    ) -> Tensor:
        """The background's bias, float64, a multiple of the step in which biases are rounded."""
        scale, zero_point = output[0].double(), output[1].double()
        row, own = weight.detach().double()[self.shared], bias.detach().double()[self.shared]
        step = (cast("Tensor", x.scale) * scales[self.shared]).double()
        below_class = own - (1 + _SPARE) * scale
        greatest = torch.maximum(*(row * end for end in _ends(x))).sum()
        below_greatest_code = (INT8_MAX - 0.5 - _SPARE - zero_point) * scale - greatest
        lowest = bias.detach().double().min()
        wanted = torch.stack([below_class, below_greatest_code, lowest]).min()
        return torch.floor(wanted / step) * step

    def _float_gap(self, bias: Tensor) -> Tensor:
        """What the background's logit is below that of its class, in float."""
        own = bias.detach()
        return (own[self.shared] - own.min()).clamp_min(LEAST_GAP)


def _ends(x: Activations) -> tuple[Tensor, Tensor]:
    """Return the least and greatest real value that the input's codes stand for."""
    scale, zero_point = cast("Tensor", x.scale).double(), cast("Tensor", x.zero_point).double()
    return (INT8_MIN - zero_point) * scale, (INT8_MAX - zero_point) * scale


def _of_affine(source: Affine | None) -> Activations:
    nothing = torch.empty(0)
    if source is None:
        return Activations(nothing)
    return Activations(nothing, torch.tensor(source.scale), torch.tensor(source.zero_point))
