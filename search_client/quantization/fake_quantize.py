"""Rounding to int8 codes inside torch, with gradients that pass straight through.

The arithmetic is that of `torch.fake_quantize_per_tensor_affine`. On CPU that operation visits
numbers one by one and is many times slower than the activation it follows; there the same
numbers come from elementwise operations that use the vector unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from netspec.layers import FusedActivation
from netspec.quantization import (
    BIAS_MAX,
    INT8_MAX,
    INT8_MIN,
    INT16_MAX,
    INT16_MIN,
    SMALLEST_SCALE,
    WEIGHT_MAX,
)
from search_client.networks.weightless import activate
from search_client.training.step import NotFinite

#: least and greatest value that an activation lets pass
LIMITS: dict[FusedActivation | None, tuple[float, float]] = {
    None: (-torch.inf, torch.inf),
    "relu": (0.0, torch.inf),
    "relu6": (0.0, 6.0),
}
#: of a tensor, what is rounded at once, so that it stays in the processor's cache, bytes
_AT_ONCE = 1 << 19


def no_range() -> NotFinite:
    """Return what is said of an activation whose range is no range."""
    return NotFinite(
        "the range of an activation is no finite number: the network's weights or images hold such "
        "numbers, or its ranges were never observed; train it with a lower learning_rate, or "
        "quantize it again"
    )


def _parts(x: Tensor, out: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """What is rounded at once, and where to: parts in memory's own order, where it has no gaps."""
    if x.nbytes <= _AT_ONCE or x.stride() != out.stride():
        return ((x, out),)
    count = _AT_ONCE // x.element_size()
    flat = (one.as_strided((one.numel(),), (1,)) for one in (x, out))
    return zip(*(torch.split(one, count) for one in flat), strict=True)


class _Activation(Function):
    """Codes of an activated tensor, as real values; the gradient stops where they saturate."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: float,
        zero_point: int,
        activation: FusedActivation | None,
        codes: tuple[int, int],
    ) -> Tensor:
        least, greatest = codes[0] - zero_point, codes[1] - zero_point
        low, high = LIMITS[activation]
        ctx.save_for_backward(x)
        # Half a step beyond the outermost codes still rounds to them.
        ctx.limits = max(low, (least - 0.5) * scale), min(high, (greatest + 0.5) * scale)
        bounds = max(least, round(low / scale)) if low > -torch.inf else least, greatest
        rounded = torch.empty_like(x)
        for part, out in _parts(x, rounded):
            torch.mul(part, 1 / scale, out=out).round_().clamp_(*bounds).mul_(scale)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (x,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.limits)
        return cast("Tensor", passed), None, None, None, None


def fake_quantize(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    activation: FusedActivation | None = None,
    *,
    wide: bool = False,
) -> Tensor:
    """The activation of `x`, rounded to the int8 codes of an affine range, int16 where `wide`.

    The range must lie within what the activation gives. Gradients pass where neither the
    activation nor the range saturates.

    Args:
        x: before its activation, float32.
        scale: step of the codes, float32 scalar.
        zero_point: code of 0, int32 scalar.
        activation: that the file fuses into the layer.
        wide: whether the codes are int16.

    Raises:
        NotFinite: the range is none, on the CPU; elsewhere asking would wait for the device.
    """
    codes = (INT16_MIN, INT16_MAX) if wide else (INT8_MIN, INT8_MAX)
    if x.device.type == "cpu":
        step = scale.item()
        if not math.isfinite(step):
            raise no_range()
        rounded = _Activation.apply(x, step, zero_point.item(), activation, codes)  # type: ignore[no-untyped-call]
        return cast("Tensor", rounded)
    return torch.fake_quantize_per_tensor_affine(activate(x, activation), scale, zero_point, *codes)


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


class _Folded(Function):
    """A weight times a gain and a bias, rounded: one node for all that a folded layer rounds."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gain: Tensor, bias: Tensor, input_scale: Tensor, by_tensor: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        shape = (-1, *[1] * (weight.ndim - 1))
        folded = weight * gain.reshape(shape)
        scales = torch.maximum(scales_of(folded), bias.abs() / (input_scale * BIAS_MAX))
        if by_tensor:
            scales = scales.max().expand_as(scales).contiguous()
        steps, bias_steps = scales.reshape(shape), input_scale * scales
        ctx.save_for_backward(weight, gain)
        ctx.mark_non_differentiable(scales)
        rounded_bias = torch.div(bias, bias_steps).round_().mul_(bias_steps)
        return folded.div_(steps).round_().mul_(steps), rounded_bias, scales

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, gain = ctx.saved_tensors
        gradient, of_bias, _ = gradients
        # A product and its sum: as `einsum` it would be as many products of one row each.
        of_gain = (gradient * weight).flatten(1).sum(1)
        shaped = gain.reshape(-1, *[1] * (weight.ndim - 1))
        return gradient * shaped, of_gain, of_bias, None, None


def fake_quantize_folded(
    weight: Tensor, gain: Tensor, bias: Tensor, input_scale: Tensor, *, by_tensor: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """A weight [O, ...] times BatchNorm's gain [O], and a bias [O], rounded, and scales [O].

    The weight has int8 codes under the scales, none of which is so small that the bias has no
    int32 code under steps of input scale * scale; `by_tensor`: the greatest scale for all of them.
    Gradients of weight, gain and bias pass the rounding; scales have none.
    """
    weight, bias, scales = _Folded.apply(weight, gain, bias, input_scale, by_tensor)  # type: ignore[no-untyped-call]
    return weight, bias, scales


class _Biased(Function):
    """What a bias was added to already; the gradient of the bias is its sum over all pixels."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, bias: Tensor) -> Tensor:  # noqa: ARG004
        return sums.view_as(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG004
        return gradients[0], gradients[0].sum((0, 2, 3))


def with_bias_gradient(sums: Tensor, bias: Tensor) -> Tensor:
    """A convolution's sums [N, O, H, W] to which a detached bias [O] was added, with its gradient.

    On CPU a convolution's own gradient of its bias takes as long as all the rest where it has few
    inputs: 8 of 12 ms for 16 -> 96 channels at 48 px, batch 16.
    """
    return cast("Tensor", _Biased.apply(sums, bias))  # type: ignore[no-untyped-call]
