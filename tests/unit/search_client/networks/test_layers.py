import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from netspec.layers import Layer
from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, StemConv, named_layers
from search_client.networks.layers import (
    ConvLayer,
    DenseLayer,
    FloatNetwork,
    OperatorModule,
    convolve,
    folded_parameters,
    to_tflite_layout,
    to_torch_layout,
)

NETWORK = Network(
    name="one of each",
    operators=(
        StemConv(input_size=13, in_channels=3, out_channels=8, stride=2),
        MBConv(input_size=7, in_channels=8, out_channels=8, kernel=5, expand=1, residual=True),
        MBConv(input_size=7, in_channels=8, out_channels=12, kernel=3, expand=2, stride=2),
        HeadConv(input_size=4, in_channels=12, out_channels=16),
        Classifier(input_size=4, in_channels=16, out_channels=5),
    ),
)


@pytest.mark.parametrize(
    ("size", "picked"),
    [
        # even side: the padding goes after, so windows start at 0, 2, 4
        (6, [0, 2, 4]),
        # odd side: one zero before, so windows start at -1, 1, 3
        (5, [None, 1, 3]),
    ],
)
def test_padding_is_tensorflows_same(size: int, picked: list[int | None]) -> None:
    layer = ConvLayer(Layer("conv", "depthwise", 1, 1, kernel=3, stride=2)).eval()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 0, 0] = 1.0  # picks each window's first pixel
        image = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
        output = layer(image)[0, 0] * np.sqrt(1 + 1e-3)
    rows = [[0.0 if None in (r, c) else image[0, 0, r, c].item() for c in picked] for r in picked]
    assert torch.allclose(output, torch.tensor(rows))


@settings(max_examples=20, deadline=None)
@given(
    size=st.integers(1, 20),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    expand=st.sampled_from([1, 3]),
)
def test_an_operators_output_has_its_shape(
    size: int, kernel: int, stride: int, expand: int
) -> None:
    operator = MBConv.model_validate(
        {
            "input_size": size,
            "in_channels": 4,
            "out_channels": 8,
            "kernel": kernel,
            "stride": stride,
            "expand": expand,
        }
    )
    output = OperatorModule(operator).eval()(torch.zeros(2, 4, size, size))
    assert output.shape == (2, 8, operator.output_size, operator.output_size)


def test_children_bear_the_layers_names() -> None:
    model = FloatNetwork(NETWORK)
    for operator, module in zip(NETWORK.operators, model.operators, strict=True):
        assert isinstance(module, OperatorModule)
        assert [name for name, _ in module.chain.named_children()] == [
            layer.name for layer in operator.layers
        ]


def test_normalisation_and_activation_follow_the_papers_numbers() -> None:
    model = FloatNetwork(NETWORK)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.1)}
    stem = model.operators[0].train()
    assert stem(torch.randn(64, 3, 13, 13) * 100).max() <= 6.0


def test_a_residual_operator_adds_its_input() -> None:
    module = OperatorModule(NETWORK.operators[1]).eval()
    nn.init.ones_(module.get_parameter("chain.project.norm.weight"))
    x = torch.randn(2, 8, 7, 7)
    branch = module.chain["project"](module.chain["depthwise"](x))
    assert branch.abs().max() > 0.1
    assert torch.allclose(module(x), branch + x)


def test_a_residual_operator_begins_as_the_identity() -> None:
    x = torch.randn(2, 8, 7, 7)
    assert torch.equal(OperatorModule(NETWORK.operators[1])(x), x)


def test_dropout_acts_on_pooled_features_in_train_mode_only() -> None:
    dense = DenseLayer(Layer("dense", "dense", 4, 2), dropout=0.5)
    nn.init.ones_(dense.weight)
    features = torch.ones(50, 4)
    assert torch.equal(dense.eval()(features), torch.full((50, 2), 4.0))
    assert dense.train()(features).unique().numel() > 1


def test_layouts_are_each_others_inverse() -> None:
    for layer in (
        Layer("conv", "conv", 3, 4, kernel=5),
        Layer("depthwise", "depthwise", 4, 4, kernel=3),
        Layer("dense", "dense", 3, 2),
    ):
        weight = np.random.default_rng(0).normal(size=layer.weight_shape).astype(np.float32)
        torch_weight = to_torch_layout(layer, weight)
        assert np.array_equal(to_tflite_layout(layer, torch_weight), weight)


def test_folding_keeps_the_networks_output() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK)
    for _ in range(3):
        model(torch.randn(8, 3, 13, 13) * 3 + 1)
    model.eval()
    folded = folded_parameters(model)
    layers = dict(named_layers(NETWORK.operators))
    assert set(folded) == {name for name, layer in layers.items() if layer.has_weights}
    for name, weights in folded.items():
        assert weights.weight.shape == layers[name].weight_shape
        assert weights.bias.dtype == np.float32
    images = torch.randn(4, 3, 13, 13)
    x = images
    stem = folded["0.conv"]
    folded_stem = functional.relu6(
        functional.conv2d(
            x,
            to_torch_layout(layers["0.conv"], stem.weight),
            torch.from_numpy(stem.bias),
            stride=2,
            padding=1,
        )
    )
    assert torch.allclose(model.operators[0](images), folded_stem, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1)])
def test_depthwise_convolutions_are_computed_in_float32_within_bfloat16(
    kernel: int, stride: int
) -> None:
    layer = Layer("conv", "depthwise", 8, 8, kernel=kernel, stride=stride)
    x, weight = torch.randn(2, 8, 9, 9), torch.randn(8, 1, kernel, kernel, requires_grad=True)
    wanted = convolve(x, layer, weight)
    with torch.autocast("cpu", torch.bfloat16):
        y = convolve(x, layer, weight)
    assert torch.equal(y, wanted.bfloat16())
    gradients = [torch.autograd.grad([of.sum()], [weight])[0] for of in (y, wanted)]
    assert torch.equal(*gradients)
