"""Ranges of activations that are learned with the weights, in place of following the batches.

A value between the ends moves them by its rounding error, one beyond an end pulls that end along:
so a range ends where clipping costs as much as coarse steps do. Weights keep the steps of their
greatest magnitudes: the folding of a live BatchNorm relies on them.
Source: Esser et al., Learned Step Size Quantization (ICLR 2020); for ranges that are not
symmetric, Bhalgat et al., LSQ+ (2020).
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from netspec.layers import FusedActivation
from netspec.quantization import INT8_MAX, INT8_MIN
from search_client.networks.weightless import activate

_STEPS = INT8_MAX - INT8_MIN


class _Rounded(Function):
    """Codes of a tensor under a scale and a zero point, as real values."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, low: Tensor, high: Tensor, scale: Tensor, zero_point: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, low, high, scale)
        least, greatest = INT8_MIN - zero_point, INT8_MAX - zero_point
        return torch.clamp(torch.round(x / scale), least, greatest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, low, high, scale = ctx.saved_tensors
        gradient = gradients[0]
        below, above = x < low, x > high
        within = ~(below | above)
        steps = x / scale
        error = (gradient * (steps.round() - steps) * within).sum() / _STEPS
        # As fast as weights move, whatever number of values moves an end: the paper has this of a
        # step, and an end is as many steps, of whose gradient it has one part.
        pace = _STEPS**2 / math.sqrt(x.numel() * _STEPS)
        of_low = pace * ((gradient * below).sum() - error)
        of_high = pace * ((gradient * above).sum() + error)
        return gradient * within, of_low, of_high, None, None


def round_learned(
    x: Tensor,
    ends: tuple[Tensor, Tensor],
    affine: tuple[Tensor, Tensor],
    activation: FusedActivation | None,
) -> Tensor:
    """Return the activation of `x`, rounded, with gradients for `x` and the range.

    Args:
        x: before its activation, float32.
        ends: low, not above 0, and high, not below it, float32 scalars.
        affine: scale and zero point of that range.
        activation: that the file fuses into the layer.
    """
    rounded = _Rounded.apply(activate(x, activation), *ends, *affine)  # type: ignore[no-untyped-call]
    return cast("Tensor", rounded)
