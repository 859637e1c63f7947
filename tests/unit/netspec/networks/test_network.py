import math

import pytest
from pydantic import ValidationError

from netspec.networks import Network, mobilenet_v2, round_channels
from netspec.operators import Classifier, HeadConv, MBConv, Precision, StemConv, named_layers


@pytest.mark.parametrize(
    ("wish", "channels"),
    [
        (32, 32),
        (35, 32),
        (36, 40),
        (3, 8),
        (16 * 0.35, 8),
        # 11.2 would round down to 8, which is below 90 % of it.
        (32 * 0.35, 16),
        # 24 is 92 % of 26, but 89 % of 27.
        (26, 24),
        (27, 32),
        (24 * 1.4, 32),
        (1280 * 1.4, 1792),
    ],
)
def test_channels_round_as_in_mobilenet(wish: float, channels: int) -> None:
    assert round_channels(wish) == channels


def blocks_of(network: Network) -> list[MBConv]:
    return [operator for operator in network.operators if isinstance(operator, MBConv)]


def test_mobilenet_v2_is_table_2_of_the_paper() -> None:
    network = mobilenet_v2()
    stem, *_, head, classifier = network.operators
    assert stem == StemConv(input_size=224, in_channels=3, out_channels=32, stride=2)
    assert head == HeadConv(input_size=7, in_channels=320, out_channels=1280)
    assert classifier == Classifier(input_size=7, in_channels=1280, out_channels=1000)
    blocks = blocks_of(network)
    assert [block.out_channels for block in blocks] == (
        [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
    )
    assert [block.expand for block in blocks] == [1] + [6] * 16
    assert [block.output_size for block in blocks] == (
        [112] + [56] * 2 + [28] * 3 + [14] * 7 + [7] * 4
    )
    # Every block of a stage but its first: 1 + 2 + 3 + 2 + 2.
    assert [index for index, block in enumerate(blocks) if block.residual] == [
        *(2, 4, 5, 7, 8, 9, 11, 12, 14, 15),
    ]
    assert (network.input_size, network.classes) == (224, 1000)


def test_mobilenet_v2_has_the_published_number_of_parameters() -> None:
    # torchvision counts 3,504,872, of which BatchNorm's are two for each of 17,056 channels;
    # folding leaves one of the two, the bias.
    count = sum(
        math.prod(layer.weight_shape) + layer.out_channels
        for _, layer in named_layers(mobilenet_v2().operators)
        if layer.has_weights
    )
    assert count == 3_504_872 - 17_056


def test_narrow_mobilenet_v2_keeps_the_head_wide() -> None:
    network = mobilenet_v2(input_size=96, width=0.35, classes=10)
    widths = [operator.out_channels for operator in network.operators]
    assert widths == [16, 8, 8, 8, *[16] * 3, *[24] * 4, *[32] * 3, *[56] * 3, 112, 1280, 10]
    assert network.operators[-1].input_size == 3
    # The second block keeps its 8 channels but not its size.
    assert [block.residual for block in blocks_of(network)][:4] == [False, False, True, False]


def test_wide_mobilenet_v2_widens_the_head() -> None:
    assert mobilenet_v2(width=1.4).operators[-2].out_channels == 1792


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_precision_reaches_every_operator(precision: Precision) -> None:
    network = mobilenet_v2(96, 0.35, 10)
    built = mobilenet_v2(96, 0.35, 10, precision)
    assert network.with_precision(precision) == built
    assert {operator.precision for operator in built.operators} == {precision}


STEM = StemConv(input_size=32, in_channels=3, out_channels=16, stride=2)


@pytest.mark.parametrize(
    ("size", "channels"), [(32, 16), (16, 24)], ids=["wrong size", "wrong channels"]
)
def test_shapes_must_chain(size: int, channels: int) -> None:
    head = HeadConv(input_size=size, in_channels=channels, out_channels=32)
    with pytest.raises(ValidationError) as caught:
        Network(name="torn", operators=(STEM, head))
    assert (
        f"network 'torn': {head.key} expects {size} px and {channels} channels, "
        f"but {STEM.key} gives 16 px and 16 channels"
    ) in str(caught.value)


def test_a_network_needs_an_operator() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Network(name="empty", operators=())


def test_identity_is_that_of_the_operators_not_of_the_name() -> None:
    head = HeadConv(input_size=16, in_channels=16, out_channels=32)
    network = Network(name="a", operators=(STEM, head))
    assert Network(name="b", operators=(STEM, head)).content_hash == network.content_hash
    assert Network(name="a", operators=(STEM,)).content_hash != network.content_hash
    assert network.with_precision("int8").content_hash != network.content_hash


def test_json_form_round_trips() -> None:
    network = mobilenet_v2(96, 0.35, 10)
    assert Network.model_validate_json(network.model_dump_json()) == network
