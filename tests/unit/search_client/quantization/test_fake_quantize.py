import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from netspec.layers import FusedActivation, Layer
from netspec.quantization import INT8_MAX, INT8_MIN, quantize_bias, quantize_weight, weight_scales
from search_client.networks.layers import to_tflite_layout, to_torch_layout
from search_client.networks.weightless import activate
from search_client.quantization.fake_quantize import (
    fake_quantize,
    fake_quantize_folded,
    fake_quantize_weight,
    scales_of,
    with_bias_gradient,
)
from search_client.quantization.ranges import affine_tensors

LAYERS = (
    Layer("conv", "conv", 3, 8, kernel=3, activation="relu6"),
    Layer("depthwise", "depthwise", 8, 8, kernel=5),
    Layer("dense", "dense", 16, 4),
)


def value_and_gradient(rounded: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    (gradient,) = torch.autograd.grad((rounded * torch.randn_like(rounded)).sum(), x)
    return rounded.detach(), gradient


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(-8, 0, width=32),
    high=st.floats(0.125, 8, width=32),
    activation=st.sampled_from([None, "relu", "relu6"]),
    seed=st.integers(0, 1000),
)
def test_numbers_and_gradients_are_those_of_torchs_own_operation(
    low: float, high: float, activation: FusedActivation | None, seed: int
) -> None:
    ends = {None: (low, high), "relu": (0.0, high), "relu6": (0.0, min(high, 6.0))}[activation]
    scale, zero_point = affine_tensors(torch.tensor(ends[0]), torch.tensor(ends[1]))
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(500, generator=generator) * 5).requires_grad_()
    ours = value_and_gradient(fake_quantize(x, scale, zero_point, activation), x)
    torchs = value_and_gradient(
        torch.fake_quantize_per_tensor_affine(
            activate(x, activation), scale, zero_point, INT8_MIN, INT8_MAX
        ),
        x,
    )
    # torch scales codes in another order, one unit in the last place away
    assert torch.allclose(ours[0], torchs[0], rtol=1e-6, atol=0)
    # the gradient's edge is half a step beyond the range; ties may fall on either side
    assert (ours[1] != torchs[1]).sum() <= 1


def test_gradients_of_rounding_pass_within_the_range_only() -> None:
    scale, zero_point = affine_tensors(torch.tensor(0.0), torch.tensor(1.0))
    x = torch.tensor([-0.5, 0.3, 0.7, 1.5], requires_grad=True)
    (gradient,) = torch.autograd.grad(fake_quantize(x, scale, zero_point).sum(), x)
    assert gradient.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_gradients_stop_where_relu6_saturates_within_the_range() -> None:
    scale, zero_point = affine_tensors(torch.tensor(0.0), torch.tensor(6.0))
    x = torch.tensor([-0.001, 0.001, 5.999, 6.001], requires_grad=True)
    (gradient,) = torch.autograd.grad(fake_quantize(x, scale, zero_point, "relu6").sum(), x)
    assert gradient.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_large_activations_round_as_their_images_do() -> None:
    scale, zero_point = affine_tensors(torch.tensor(-1.0), torch.tensor(2.0))
    images = torch.randn(5, 96, 32, 40, generator=torch.Generator().manual_seed(0))
    channels_last = images.contiguous(memory_format=torch.channels_last)
    for dense in (images, channels_last, images[1:]):
        assert fake_quantize(dense, scale, zero_point).stride() == dense.stride()
    with_gaps = (images[:, ::2], channels_last[..., 1:], images[:1].expand(5, 96, 32, 40))
    for laid_out in (images, channels_last, images[1:], *with_gaps):
        rounded = fake_quantize(laid_out, scale, zero_point)
        for image, wanted in zip(rounded, laid_out, strict=True):
            assert torch.equal(image, fake_quantize(wanted, scale, zero_point))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.kind)
def test_weights_and_biases_round_to_the_encoders_codes(layer: Layer) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=layer.weight_shape).astype(np.float32)
    bias = rng.normal(size=layer.out_channels).astype(np.float32)
    scales = weight_scales(weight, layer.channel_axis)
    shape = [1] * weight.ndim
    shape[layer.channel_axis] = -1
    codes = quantize_weight(weight, scales, layer.channel_axis)

    torch_weight = to_torch_layout(layer, weight)
    torch_scales = scales_of(torch_weight)
    assert np.array_equal(torch_scales.numpy(), scales)
    rounded = to_tflite_layout(layer, fake_quantize_weight(torch_weight, torch_scales))
    assert np.array_equal(np.rint(rounded / scales.reshape(shape)), codes)

    gain, input_scale = torch.ones(layer.out_channels), torch.tensor(0.02)
    of_both = fake_quantize_folded(torch_weight, gain, torch.from_numpy(bias), input_scale)
    folded, rounded_bias, folded_scales = of_both
    assert np.array_equal(to_tflite_layout(layer, folded), rounded)
    assert np.array_equal(folded_scales.numpy(), scales)
    bias_codes = quantize_bias(bias, 0.02, scales)
    assert np.allclose(rounded_bias.numpy(), bias_codes * 0.02 * scales, atol=1e-6)


def test_gradients_pass_rounded_weights_unchanged() -> None:
    weight = torch.tensor([[0.3, -0.7], [0.01, 2.0]], requires_grad=True)
    rounded = fake_quantize_weight(weight, scales_of(weight))
    (gradient,) = torch.autograd.grad((rounded * torch.tensor([2.0, 3.0])).sum(), weight)
    assert gradient.tolist() == [[2.0, 3.0], [2.0, 3.0]]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.integers(-6, 6), negative=st.booleans())
def test_a_gain_changes_a_weights_scale_and_never_its_codes(
    seed: int, power: int, negative: bool
) -> None:
    # a power of two, so that the product itself is exact
    gain = 2.0**power * (-1 if negative else 1)
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(seed))
    folded = weight * gain
    assert torch.equal(
        fake_quantize_weight(folded, scales_of(folded)),
        fake_quantize_weight(weight, scales_of(weight)) * gain,
    )


def test_a_folded_weight_rounds_as_the_product_and_has_its_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 3, 3, 3, generator=generator, requires_grad=True)
    gain = torch.randn(4, generator=generator, requires_grad=True)
    bias = torch.randn(4, generator=generator, requires_grad=True)
    upstream = torch.randn(4, 3, 3, 3, generator=generator)
    rounded, rounded_bias, scales = fake_quantize_folded(weight, gain, bias, torch.tensor(0.02))
    (of_bias,) = torch.autograd.grad((3 * rounded_bias).sum(), bias, retain_graph=True)
    assert of_bias.tolist() == [3.0] * 4
    product = weight * gain.reshape(-1, 1, 1, 1)
    wanted = fake_quantize_weight(product, scales_of(product))
    assert torch.equal(rounded, wanted)
    assert torch.equal(scales, scales_of(product))
    ours = torch.autograd.grad((rounded * upstream).sum(), (weight, gain))
    theirs = torch.autograd.grad((wanted * upstream).sum(), (weight, gain))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_the_gradient_of_a_bias_is_that_of_the_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 5, generator=generator)
    weight = torch.randn(4, 3, 3, 3, generator=generator, requires_grad=True)
    bias = torch.randn(4, generator=generator, requires_grad=True)
    upstream = torch.randn(2, 4, 3, 3, generator=generator)
    ours = with_bias_gradient(torch.conv2d(x, weight, bias.detach()), bias)
    theirs = torch.conv2d(x, weight, bias)
    assert torch.equal(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours, (weight, bias), upstream),
        torch.autograd.grad(theirs, (weight, bias), upstream),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-5)
