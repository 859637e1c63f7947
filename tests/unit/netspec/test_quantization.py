import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.layers import ActivationRange
from netspec.quantization import (
    SMALLEST_SCALE,
    Affine,
    affine_of,
    quantize_bias,
    quantize_weight,
    weight_scales,
)


@pytest.mark.parametrize(
    ("held", "scale", "zero_point"),
    [
        (ActivationRange(0.0, 6.0), 6 / 255, -128),
        (ActivationRange(-6.0, 0.0), 6 / 255, 127),
        # 2 / 255 rounds up in float32, so that 0 lies just under 127.5 steps above the low end.
        (ActivationRange(-1.0, 1.0), 2 / 255, -1),
        (ActivationRange(-51.0, 204.0), 1.0, -77),
        # Ranges are widened to hold 0.
        (ActivationRange(2.0, 5.1), 0.02, -128),
        (ActivationRange(-5.1, -2.0), 0.02, 127),
        (ActivationRange(0.0, 0.0), SMALLEST_SCALE, -128),
    ],
)
def test_affine_by_hand(held: ActivationRange, scale: float, zero_point: int) -> None:
    affine = affine_of(held)
    assert affine.scale == pytest.approx(scale, rel=1e-6)
    assert affine.zero_point == zero_point


def test_codes_by_hand() -> None:
    affine = Affine(scale=0.5, zero_point=-3)
    real = np.array([0.0, 0.5, 0.25, 0.75, -1.0, 1000.0, -1000.0], np.float32)
    codes = affine.quantize(real)
    assert codes.tolist() == [-3, -2, -3, -1, -5, 127, -128]
    assert codes.dtype == np.int8
    assert affine.dequantize(codes).tolist() == [0.0, 0.5, 0.0, 1.0, -1.0, 65.0, -62.5]


@given(
    low=st.floats(-1e4, 0, width=32),
    high=st.floats(0.015625, 1e4, width=32),
    share=st.floats(0, 1),
)
def test_a_range_is_represented_to_half_a_step_and_zero_exactly(
    low: float, high: float, share: float
) -> None:
    affine = affine_of(ActivationRange(low, high))
    real = np.array([0.0, low + share * (high - low)], np.float32)
    zero, value = affine.dequantize(affine.quantize(real))
    assert zero == 0.0
    # Nudging 0 onto a code costs the ends of the range up to another half step.
    assert abs(value - real[1]) <= affine.scale * 1.001


def test_weight_scales_are_per_output_channel() -> None:
    conv = np.array([[1.0, -12.7], [0.5, 0.254], [0.0, 0.0]], np.float32).reshape(3, 1, 1, 2)
    scales = weight_scales(conv, channel_axis=0)
    assert scales == pytest.approx([0.1, 0.5 / 127, SMALLEST_SCALE])
    assert scales.dtype == np.float32
    codes = quantize_weight(conv, scales, channel_axis=0)
    assert codes.reshape(3, 2).tolist() == [[10, -127], [127, 65], [0, 0]]
    depthwise = conv.reshape(3, 2).T.reshape(1, 2, 1, 3)
    assert weight_scales(depthwise, channel_axis=3).tolist() == scales.tolist()
    transposed = quantize_weight(depthwise, scales, channel_axis=3)
    assert transposed.reshape(2, 3).T.tolist() == codes.reshape(3, 2).tolist()


def test_weights_never_use_the_code_without_a_positive_twin() -> None:
    weight = np.array([[-1.0, 1.0]], np.float32)
    codes = quantize_weight(weight, np.array([1 / 200], np.float32), channel_axis=0)
    assert codes.tolist() == [[-127, 127]]


def test_bias_has_the_scale_of_its_products() -> None:
    scales = np.array([0.5, 0.25, 1e-7], np.float32)
    bias = np.array([1.0, -0.3, 1e6], np.float32)
    codes = quantize_bias(bias, 0.1, scales)
    assert codes.tolist() == [20, -12, 2**31 - 1]
    assert codes.dtype == np.int32
