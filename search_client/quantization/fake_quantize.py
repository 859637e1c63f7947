"""Rounding to int8 codes inside torch, with gradients that pass straight through.

The arithmetic is that of `torch.fake_quantize_per_tensor_affine`. On CPU that operation visits
numbers one by one and is many times slower than the activation it follows; there the same
numbers come from elementwise operations that use the vector unit.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from netspec.layers import FusedActivation
from netspec.quantization import INT8_MAX, INT8_MIN, SMALLEST_SCALE, WEIGHT_MAX
from search_client.networks.weightless import activate
from search_client.training.step import NotFinite

#: least and greatest value that an activation lets pass
LIMITS: dict[FusedActivation | None, tuple[float, float]] = {
    None: (-torch.inf, torch.inf),
    "relu": (0.0, torch.inf),
    "relu6": (0.0, 6.0),
}


def no_range() -> NotFinite:
    """Return what is said of an activation whose range is no range."""
    return NotFinite(
        "the range of an activation is no finite number: the network's weights or images hold such "
        "numbers, or its ranges were never observed; train it with a lower learning_rate, or "
        "quantize it again"
    )


class _Activation(Function):
    """Codes of an activated tensor, as real values; the gradient stops where they saturate."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: float, zero_point: int, activation: FusedActivation | None
    ) -> Tensor:
        least, greatest = INT8_MIN - zero_point, INT8_MAX - zero_point
        low, high = LIMITS[activation]
        ctx.save_for_backward(x)
        # Half a step beyond the outermost codes still rounds to them.
        ctx.limits = max(low, (least - 0.5) * scale), min(high, (greatest + 0.5) * scale)
        bounds = max(least, round(low / scale)) if low > -torch.inf else least, greatest
        return x.mul(1 / scale).round_().clamp_(*bounds).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.limits)
        return cast("Tensor", passed), None, None, None


def fake_quantize(
    x: Tensor, scale: Tensor, zero_point: Tensor, activation: FusedActivation | None = None
) -> Tensor:
    """The activation of `x`, rounded to the int8 codes of an affine range.

    The range must lie within what the activation gives. Gradients pass where neither the
    activation nor the range saturates.

    Args:
        x: before its activation, float32.
        scale: step of the codes, float32 scalar.
        zero_point: code of 0, int32 scalar.
        activation: that the file fuses into the layer.

    Raises:
        NotFinite: the range is none, on the CPU; elsewhere asking would wait for the device.
    """
    if x.device.type == "cpu":
        step = scale.item()
        if not math.isfinite(step):
            raise no_range()
        rounded = _Activation.apply(x, step, zero_point.item(), activation)  # type: ignore[no-untyped-call]
        return cast("Tensor", rounded)
    return torch.fake_quantize_per_tensor_affine(
        activate(x, activation), scale, zero_point, INT8_MIN, INT8_MAX
    )


def scales_of(weight: Tensor) -> Tensor:
    """Symmetric scale [O] of each output channel, as `netspec.quantization.weight_scales`."""
    flat = weight.detach().flatten(1)
    # two passes that write nothing, in place of one that writes all magnitudes
    greatest = torch.maximum(flat.amax(dim=1), -flat.amin(dim=1))
    return (greatest / WEIGHT_MAX).clamp_min(SMALLEST_SCALE)


class _Straight(Function):
    """A rounding whose gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: Tensor) -> Tensor:  # noqa: ARG004
        return torch.div(x, steps).round_().mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradients[0], None


def fake_quantize_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """A weight [O, ...] rounded to its int8 codes under `scales_of` it; gradients pass.

    Under its own scales no weight saturates. Because they are greatest magnitudes, folding
    BatchNorm's gain into the weight changes the scales alone, never the codes.
    """
    shaped = scales.reshape(-1, *[1] * (weight.ndim - 1))
    return cast("Tensor", _Straight.apply(weight, shaped))  # type: ignore[no-untyped-call]


def fake_quantize_bias(bias: Tensor, steps: Tensor) -> Tensor:
    """A bias [O] rounded to steps [O] of input scale * weight scale; gradients pass."""
    return cast("Tensor", _Straight.apply(bias, steps))  # type: ignore[no-untyped-call]


class _Folded(Function):
    """`fake_quantize_weight` of a weight times a gain, with one tensor of the weight's size."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gain: Tensor, least: Tensor | None, by_tensor: bool
    ) -> tuple[Tensor, Tensor]:
        shape = (-1, *[1] * (weight.ndim - 1))
        folded = weight * gain.reshape(shape)
        scales = scales_of(folded)
        if least is not None:
            scales = torch.maximum(scales, least)
        if by_tensor:
            scales = scales.max().expand_as(scales).contiguous()
        steps = scales.reshape(shape)
        ctx.save_for_backward(weight, gain)
        ctx.mark_non_differentiable(scales)
        return folded.div_(steps).round_().mul_(steps), scales

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weight, gain = ctx.saved_tensors
        gradient = gradients[0]
        of_gain = torch.einsum("oi,oi->o", gradient.flatten(1), weight.flatten(1))
        return gradient * gain.reshape(-1, *[1] * (weight.ndim - 1)), of_gain, None, None


def fake_quantize_folded(
    weight: Tensor, gain: Tensor, least: Tensor | None = None, *, by_tensor: bool = False
) -> tuple[Tensor, Tensor]:
    """A weight [O, ...] times BatchNorm's gain [O], rounded to its int8 codes, and its scales [O].

    No scale is below `least` [O]; `by_tensor`: the greatest scale for all of them. Gradients of
    weight and gain pass the rounding; scales have none.
    """
    rounded, scales = _Folded.apply(weight, gain, least, by_tensor)  # type: ignore[no-untyped-call]
    return rounded, scales
