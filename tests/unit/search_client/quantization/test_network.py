import pytest
import torch
from torch.nn import functional

from netspec.layers import INPUT, Layer
from netspec.networks import Network
from netspec.operators import Convert, MBConv, named_layers
from search_client.data.batches import TrainingBatches
from search_client.networks.layers import ConvLayer, FloatNetwork
from search_client.quantization.fake_quantize import fake_quantize_weight, scales_of
from search_client.quantization.finetuning import calibrate
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.ranges import Activations
from tests.unit.search_client.tiny import tiny_images, tiny_space

LAYER = Layer("conv", "conv", 4, 6, kernel=3, activation="relu6")


def trained_layer() -> ConvLayer:
    torch.manual_seed(0)
    layer = ConvLayer(LAYER).train()
    torch.nn.init.normal_(layer.norm.weight)
    torch.nn.init.normal_(layer.norm.bias)
    for _ in range(30):
        layer(torch.randn(8, 4, 7, 7) * 2 + 1)
    return layer


def test_the_range_is_that_of_the_activated_output() -> None:
    module = QuantizedLayer(Layer("add", "add", 1, 1, activation="relu6"), None, int8=True)
    x = torch.tensor([-4.0, 3.0, 9.0]).reshape(1, 1, 1, 3)
    y = module(Activations(x), Activations(torch.zeros(1, 1, 1, 3))).values
    assert module.output is not None
    observed = module.output.observed()
    assert (observed.low, observed.high) == (0.0, 6.0)
    assert y.flatten().tolist() == pytest.approx([0.0, 3.0, 6.0], abs=0.012)


def test_a_live_norm_gives_what_folding_the_batchs_statistics_would() -> None:
    trained = trained_layer()
    live = QuantizedLayer(LAYER, trained, int8=True).train()
    x = torch.randn(16, 4, 9, 9) * 2 + 1
    with torch.no_grad():
        given = functional.conv2d(
            x, fake_quantize_weight(trained.weight, scales_of(trained.weight)), padding=1
        )
        mean, variance = given.mean((0, 2, 3)), given.var((0, 2, 3), correction=0)
        gain = trained.norm.weight / torch.sqrt(variance + trained.norm.eps)
        folded = trained.weight * gain.reshape(-1, 1, 1, 1)
        wanted = functional.conv2d(
            x, fake_quantize_weight(folded, scales_of(folded)), padding=1
        ) + (trained.norm.bias - mean * gain).reshape(1, -1, 1, 1)
        assert live.output is not None
        live.output.observe(wanted)
        live.output.freeze()
        step = (live.output.high / 255).item()
        y = live(Activations(x, torch.tensor(0.01))).values
    # a value at a tie may fall to either side of it
    assert (y - wanted.clamp(0, 6)).abs().max() <= 0.51 * step


def test_the_statistics_of_a_live_norm_follow_the_rounded_convolution() -> None:
    trained = trained_layer()
    live = QuantizedLayer(LAYER, trained, int8=True).train()
    assert trained.norm.running_mean is not None
    before = trained.norm.running_mean.clone()
    x = torch.randn(16, 4, 9, 9) * 2 + 1
    live(Activations(x, torch.tensor(0.01)))
    given = functional.conv2d(
        x, fake_quantize_weight(trained.weight, scales_of(trained.weight)), padding=1
    ).mean((0, 2, 3))
    assert live.norm is not None
    assert live.norm.running_mean is not None
    assert torch.allclose(live.norm.running_mean, before.lerp(given, 0.1), atol=1e-5)
    assert torch.equal(trained.norm.running_mean, before)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_norm_and_evaluation_use_what_is_exported(frozen: bool) -> None:
    layer = QuantizedLayer(LAYER, trained_layer(), int8=True)
    assert layer.output is not None
    layer.output.observe(torch.tensor([0.0, 5.0]))
    layer.output.freeze()
    layer.train(frozen)
    layer.norm_frozen = frozen
    x, scale = torch.randn(2, 4, 5, 5), torch.tensor(0.02)
    weights = layer.weights(None)
    weight = torch.from_numpy(weights.weight).permute(0, 3, 1, 2)
    scales = scales_of(weight)
    bias = torch.round(torch.from_numpy(weights.bias) / (scale * scales)) * scale * scales
    wanted = functional.conv2d(x, fake_quantize_weight(weight, scales), bias, padding=1)
    assert (layer(Activations(x, scale)).values - wanted.clamp(0, 5)).abs().max() <= 0.51 * 5 / 255


def test_gradients_reach_weights_gains_and_shifts_through_the_frozen_fold() -> None:
    layer = QuantizedLayer(LAYER, trained_layer(), int8=True).train()
    layer.norm_frozen = True
    x = torch.randn(2, 4, 5, 5)
    layer(Activations(x, torch.tensor(0.02))).values.sum().backward()
    assert layer.norm is not None
    for parameter in (layer.weight, layer.norm.weight, layer.norm.bias):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


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
    assert 0 < error < 0.15 * wanted.abs().max()


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


def test_blocks_kept_in_float_are_neither_rounded_nor_given_ranges(model: FloatNetwork) -> None:
    int8 = list(model.network.with_precision("int8").operators)
    block = int8[2]
    assert isinstance(block, MBConv)
    into = Convert(
        input_size=block.input_size,
        in_channels=block.in_channels,
        out_channels=block.in_channels,
        precision="float32",
    )
    back = Convert(
        input_size=block.output_size,
        in_channels=block.out_channels,
        out_channels=block.out_channels,
        precision="int8",
    )
    operators = (*int8[:2], into, block.with_precision("float32"), back, *int8[3:])
    mixed = Network(name="mixed", operators=operators)
    network = QuantizedNetwork.from_float(model, mixed)
    calibrate(network, TrainingBatches(tiny_images(16), 16, 16, seed=0))
    ranges = network.parameters_for_export().ranges
    without = {name for name, _ in named_layers(mixed.operators) if name not in ranges}
    assert without == {name for name, _ in named_layers(operators) if name[0] in "23"}
    x = torch.randn(2, block.in_channels, block.input_size, block.input_size)
    of_float = model.operators[2](x)
    assert torch.allclose(network.eval().operators[3](Activations(x)).values, of_float, atol=1e-4)
