import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.layers import INPUT, Layer, layer_name, same_padding
from netspec.operators import Classifier, HeadConv, MBConv, StemConv, named_layers


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (225, 3, 2, (1, 1)),
        (7, 3, 1, (1, 1)),
        (14, 5, 2, (1, 2)),
        (15, 5, 2, (2, 2)),
        (14, 7, 2, (2, 3)),
        (8, 1, 1, (0, 0)),
        (8, 1, 2, (0, 0)),
        (1, 7, 1, (3, 3)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding_by_hand(
    size: int, kernel: int, stride: int, padding: tuple[int, int]
) -> None:
    assert same_padding(size, kernel, stride) == padding


@given(
    size=st.integers(1, 512),
    kernel=st.sampled_from([1, 3, 5, 7, 9, 11]),
    stride=st.sampled_from([1, 2]),
)
def test_same_padding_gives_ceil_of_size_by_stride(size: int, kernel: int, stride: int) -> None:
    before, after = same_padding(size, kernel, stride)
    outputs = (size + before + after - kernel) // stride + 1
    assert outputs == (size + stride - 1) // stride
    assert after - before in (0, 1)
    # No zero too many: one less would lose an output.
    assert before + after == 0 or (size + before + after - 1 - kernel) // stride + 1 < outputs


def test_mbconv_expands_filters_projects_and_adds() -> None:
    block = MBConv(input_size=8, in_channels=16, out_channels=16, kernel=5, expand=3, residual=True)
    assert block.layers == (
        Layer("expand", "conv", 16, 48, activation="relu6"),
        Layer("depthwise", "depthwise", 48, 48, 5, 1, "relu6", inputs=("expand",)),
        Layer("project", "conv", 48, 16, inputs=("depthwise",)),
        Layer("add", "add", 16, 16, inputs=("project", INPUT)),
    )


@pytest.mark.parametrize(
    ("expand", "residual", "names"),
    [
        (1, False, ["depthwise", "project"]),
        (1, True, ["depthwise", "project", "add"]),
        (6, False, ["expand", "depthwise", "project"]),
        (6, True, ["expand", "depthwise", "project", "add"]),
    ],
)
def test_mbconv_has_only_the_layers_it_needs(expand: int, residual: bool, names: list[str]) -> None:
    block = MBConv(input_size=8, in_channels=16, out_channels=16, expand=expand, residual=residual)
    assert [layer.name for layer in block.layers] == names


def test_the_other_operators() -> None:
    stem = StemConv(
        input_size=8, in_channels=3, out_channels=16, kernel=5, stride=2, activation="relu"
    )
    assert stem.layers == (Layer("conv", "conv", 3, 16, 5, 2, "relu"),)
    head = HeadConv(input_size=4, in_channels=16, out_channels=32)
    assert head.layers == (Layer("conv", "conv", 16, 32, 1, 1, "relu6"),)
    classifier = Classifier(input_size=4, in_channels=32, out_channels=10)
    assert classifier.layers == (
        Layer("pool", "mean", 32, 32),
        Layer("dense", "dense", 32, 10, inputs=("pool",), normalised=False),
    )


def test_names_count_operators() -> None:
    head = HeadConv(input_size=4, in_channels=16, out_channels=32)
    classifier = Classifier(input_size=4, in_channels=32, out_channels=10)
    names = [name for name, _ in named_layers((head, classifier))]
    assert names == ["0.conv", "1.pool", "1.dense"]
    assert layer_name(12, Layer("conv", "conv", 1, 1)) == "12.conv"


@pytest.mark.parametrize(
    ("layer", "shape", "channel_axis"),
    [
        (Layer("conv", "conv", 3, 16, 5), (16, 5, 5, 3), 0),
        (Layer("depthwise", "depthwise", 16, 16, 7), (1, 7, 7, 16), 3),
        (Layer("dense", "dense", 32, 10), (10, 32), 0),
    ],
)
def test_weight_layout(layer: Layer, shape: tuple[int, ...], channel_axis: int) -> None:
    assert layer.has_weights
    assert layer.weight_shape == shape
    assert layer.channel_axis == channel_axis
    assert shape[channel_axis] == layer.out_channels


@pytest.mark.parametrize("layer", [Layer("pool", "mean", 8, 8), Layer("add", "add", 8, 8)])
def test_pooling_and_addition_have_no_weights(layer: Layer) -> None:
    assert not layer.has_weights
    assert layer.weight_shape == ()
