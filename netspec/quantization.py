"""int8 arithmetic that the encoder and fake quantization share, so that they agree to the bit.

Source: TensorFlow Lite 8-bit quantization specification: real = scale * (q - zero_point);
weights symmetric per channel in [-127, 127]; activations affine per tensor in [-128, 127];
bias int32 with scale = input scale * weight scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspec.layers import ActivationRange, Float32Array, Layer, LayerKind, LayerWeights

INT8_MIN, INT8_MAX = -128, 127
INT16_MIN, INT16_MAX = -32768, 32767
WEIGHT_MAX = 127
#: scales below this make requantization multipliers that runtimes refuse
SMALLEST_SCALE = 1e-7
#: greatest code of a bias: with all products of codes added it stays within int32
BIAS_MAX = 2**30
#: of what XNNPACK takes over in int8: below what the scale of an input, or a product of scales,
#: over the output's must be. Source: `xnnpack_delegate.cc` of TensorFlow Lite, its convolutions.
RATIO_BELOW: Mapping[LayerKind, float] = {
    "add": 2.0**8,
    "multiply": 2.0**8,
    "hard_swish": 2.0**8,
    "conv": 2.0**8,
    "depthwise": 2.0**8,
    "dense": 2.0**8,
}
#: the least scale of what is added, over the output's
LEAST_ADDED = 2.0**-10
#: kinds whose codes mean what those of their input mean
_KEEPING_SCALE: frozenset[LayerKind] = frozenset(
    ("average_pool", "max_pool", "global_max", "pad", "relu", "relu6", "shuffle")
)
#: of hard-sigmoid, by which hard-swish multiplies its input
GATE_RANGE = ActivationRange(0.0, 1.0)
#: kinds whose range is always the same; 255/256 makes the scale 1/256, which softmax must have
FIXED_RANGES: Mapping[LayerKind, ActivationRange] = {
    "sigmoid": ActivationRange(0.0, 255 / 256),
    "softmax": ActivationRange(0.0, 255 / 256),
    "hard_sigmoid": GATE_RANGE,
}
#: the same in int16, whose scale sigmoid and softmax have at 1/32768
WIDE_FIXED_RANGES: Mapping[LayerKind, ActivationRange] = {
    "sigmoid": ActivationRange(0.0, INT16_MAX / 32768),
    "softmax": ActivationRange(0.0, INT16_MAX / 32768),
    "hard_sigmoid": GATE_RANGE,
}


@dataclass(frozen=True)
class Affine:
    """Affine quantization of one tensor: real = scale * (q - zero_point)."""

    #: float32 value
    scale: float
    zero_point: int

    def quantize(self, real: Float32Array) -> npt.NDArray[np.int8]:
        """Nearest int8 code (ties to even), saturated."""
        codes = np.rint(real / np.float32(self.scale)) + self.zero_point
        clipped: npt.NDArray[np.int8] = np.clip(codes, INT8_MIN, INT8_MAX).astype(np.int8)
        return clipped

    def dequantize(self, codes: npt.NDArray[np.int8]) -> Float32Array:
        """Real values (float32) of int8 codes."""
        return ((codes.astype(np.int32) - self.zero_point) * np.float32(self.scale)).astype(
            np.float32
        )


def affine_of(activation_range: ActivationRange) -> Affine:
    """The int8 quantization of a range, nudged so that 0.0 has a code of its own."""
    low, high = min(activation_range.low, 0.0), max(activation_range.high, 0.0)
    scale = np.float32(max((high - low) / (INT8_MAX - INT8_MIN), SMALLEST_SCALE))
    zero_point = int(np.clip(np.rint(INT8_MIN - low / float(scale)), INT8_MIN, INT8_MAX))
    return Affine(float(scale), zero_point)


def wide_affine_of(activation_range: ActivationRange) -> Affine:
    """The int16 quantization of a range: symmetric around 0, as files of 16x8 bits have it."""
    greatest = max(-activation_range.low, activation_range.high)
    return Affine(float(np.float32(max(greatest / INT16_MAX, SMALLEST_SCALE))), 0)


def keeps_scale(layer: Layer) -> bool:
    """Whether a layer's output has the scale and zero point of its input."""
    return layer.kind in _KEEPING_SCALE


def has_own_range(layer: Layer) -> bool:
    """Whether the range of a layer's output is to be observed: no rule says what it is."""
    return not keeps_scale(layer) and layer.kind not in FIXED_RANGES


def weight_scales(weight: Float32Array, channel_axis: int) -> Float32Array:
    """Symmetric scale (float32) of each output channel: greatest magnitude / 127."""
    axes = tuple(axis for axis in range(weight.ndim) if axis != channel_axis)
    greatest = np.abs(weight).max(axis=axes)
    scales: Float32Array = np.maximum(greatest / WEIGHT_MAX, SMALLEST_SCALE).astype(np.float32)
    return scales


def parameter_scales(
    given: LayerWeights, channel_axis: int, input_scale: float, *, by_tensor: bool = False
) -> Float32Array:
    """Scale (float32) of each output channel's weights: as `weight_scales`, or more for its bias.

    Where a channel's weights are so small that its bias would have no int32 code under them, they
    get a greater scale. Source of the rule: TensorFlow's converter.

    Args:
        given: weight and bias.
        channel_axis: of the output channels.
        input_scale: of the layer's input.
        by_tensor: the greatest scale for all.
    """
    least = np.abs(given.bias) / (np.float32(input_scale) * np.float32(BIAS_MAX))
    scales = np.maximum(weight_scales(given.weight, channel_axis), least)
    return np.full_like(scales, scales.max()) if by_tensor else scales


def quantize_weight(
    weight: Float32Array, scales: Float32Array, channel_axis: int
) -> npt.NDArray[np.int8]:
    """int8 codes of a weight under per-channel scales, ties to even."""
    shape = [1] * weight.ndim
    shape[channel_axis] = -1
    codes = np.rint(weight / scales.reshape(shape))
    clipped: npt.NDArray[np.int8] = np.clip(codes, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    return clipped


def quantize_bias(
    bias: Float32Array, input_scale: float, scales: Float32Array
) -> npt.NDArray[np.int32]:
    """int32 codes of a bias under input scale * weight scale."""
    limits = np.iinfo(np.int32)
    codes = wide_bias(bias, input_scale, scales)
    return np.clip(codes, limits.min, limits.max).astype(np.int32)


def wide_bias(
    bias: Float32Array, input_scale: float, scales: Float32Array
) -> npt.NDArray[np.int64]:
    """int64 codes of a bias under input scale * weight scale, as int16 activations have them."""
    codes = np.rint(bias.astype(np.float64) / (input_scale * scales.astype(np.float64)))
    return codes.astype(np.int64)
