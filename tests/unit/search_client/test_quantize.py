import numpy as np
import pytest
import torch
from torch import nn

from netspec.layers import INPUT, Layer, LayerWeights, named_layers
from netspec.quantization import quantize_bias, quantize_weight, weight_scales
from search_client.batches import TrainingBatches
from search_client.modules import FloatNetwork, to_tflite_layout, to_torch_layout
from search_client.qat import QatConfig, calibrate, finetune_int8
from search_client.quantize import (
    QuantizedLayer,
    QuantizedNetwork,
    fake_quantized_bias,
    fake_quantized_weight,
    scales_of,
)
from tests.unit.search_client.tiny import tiny_images, tiny_space

LAYERS = (
    Layer("conv", "conv", 3, 8, kernel=3, activation="relu6"),
    Layer("depthwise", "depthwise", 8, 8, kernel=5),
    Layer("dense", "dense", 16, 4),
)


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
    rounded = to_tflite_layout(layer, fake_quantized_weight(torch_weight, torch_scales))
    assert np.allclose(rounded, codes * scales.reshape(shape), atol=1e-7)

    steps = 0.02 * torch_scales
    rounded_bias = fake_quantized_bias(torch.from_numpy(bias), steps)
    bias_codes = quantize_bias(bias, 0.02, scales)
    assert np.allclose(rounded_bias.numpy(), bias_codes * 0.02 * scales, atol=1e-6)


def test_gradients_pass_a_rounded_bias() -> None:
    bias = torch.tensor([0.3, 0.7], requires_grad=True)
    (gradient,) = torch.autograd.grad(fake_quantized_bias(bias, torch.tensor(0.5)).sum(), bias)
    assert gradient.tolist() == [1.0, 1.0]


def test_the_range_is_that_of_the_activated_output() -> None:
    layer = Layer("conv", "conv", 1, 1, activation="relu6")
    weights = LayerWeights(np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))
    module = QuantizedLayer(layer, weights)
    x = torch.tensor([-4.0, 3.0, 9.0]).reshape(1, 1, 1, 3)
    module(x, x, torch.tensor(0.1))
    observed = module.output.observed()
    assert (observed.low, observed.high) == (0.0, 6.0)


@pytest.fixture(scope="module")
def model() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 2]))
    for images, _ in TrainingBatches(tiny_images(64), 16, 16, seed=0):
        model(images)
    return model.eval()


@torch.no_grad()
def test_fake_quantization_stays_close_to_the_float_network(model: FloatNetwork) -> None:
    network = QuantizedNetwork.from_float(model)
    batches = TrainingBatches(tiny_images(64), 16, 16, seed=0)
    calibrate(network, batches)
    images = next(iter(batches))[0]
    wanted = model(images)
    error = (network.eval()(images) - wanted).abs().max()
    assert 0 < error < 0.1 * wanted.abs().max()


def test_parameters_for_export_cover_every_layer(model: FloatNetwork) -> None:
    network = QuantizedNetwork.from_float(model)
    calibrate(network, TrainingBatches(tiny_images(16), 16, 16, seed=0))
    parameters = network.parameters_for_export()
    layers = dict(named_layers(model.network.operators))
    assert set(parameters.ranges) == {INPUT, *layers}
    assert {name: held.weight.shape for name, held in parameters.weights.items()} == {
        name: layer.weight_shape for name, layer in layers.items() if layer.has_weights
    }
    assert all(held.low <= 0 <= held.high for held in parameters.ranges.values())


def test_finetuning_moves_weights_then_keeps_ranges_and_spares_the_float_network(
    model: FloatNetwork,
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batches = TrainingBatches(tiny_images(64), 16, 16, seed=0)
    config = QatConfig(epochs=3, frozen_epochs=1, learning_rate=1e-3)
    seen: list[int] = []
    network, history = finetune_int8(model, batches, config, lambda step: seen.append(step.done))
    assert seen == list(range(1, 13))
    assert len(history) == 3
    assert history[-1].loss < history[0].loss
    after = network.parameters_for_export().ranges
    network.train()(torch.full((2, 3, 16, 16), 50.0))
    assert network.parameters_for_export().ranges == after
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    weights = [p for p in network.parameters() if isinstance(p, nn.Parameter)]
    fresh = QuantizedNetwork.from_float(model)
    assert not any(a.equal(b) for a, b in zip(weights, fresh.parameters(), strict=True))
