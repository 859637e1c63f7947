"""Published networks have the parameters and multiply-accumulates that were published."""

import math

import pytest

from netspec.costs import macs
from netspec.networks import SHIPPED_NETWORKS, Network, mobilenet_v3_large
from netspec.operators import FeatureMix, GlobalPool, MBConv, named_layers

#: parameters of training: BatchNorm has a gain and a bias for each channel, its statistics do not
#: count. Sources: Keras (MobileNetV1), torchvision (MobileNetV2 and V3), timm (MnasNet-A1 as
#: semnasnet_100, EfficientNet-Lite0, MobileNetV4), imgclsmob (ProxylessNAS, from the released
#: `net.config` files).
PARAMETERS = {
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "mnasnet_a1": 3_887_038,
    "proxylessnas_mobile": 4_080_512,
    "proxylessnas_cpu": 4_361_648,
    "proxylessnas_gpu": 7_119_848,
    "proxylessnas_mobile_14": 6_857_568,
    "efficientnet_lite0": 4_652_008,
    "mobilenet_v4_conv_small": 3_774_024,
}
#: billion multiply-accumulates of convolutions and dense layers at 224 px, with as many digits as
#: were published. Sources: MobileNets, table 8; torchvision; MnasNet, table 1; Once-for-all, table
#: 2; timm.
GIGA_MACS = {
    "mobilenet_v1": "0.569",
    "mobilenet_v2": "0.301",
    "mobilenet_v3_small": "0.057",
    "mobilenet_v3_large": "0.217",
    "mnasnet_a1": "0.312",
    "proxylessnas_mobile": "0.320",
    "mobilenet_v4_conv_small": "0.19",
}
#: published by another convention, which counts BatchNorm and activations, too, a few percent more.
#: Sources: imgclsmob; EfficientNet-Lite's table.
GIGA_MACS_AND_MORE = {
    "proxylessnas_cpu": 0.460,
    "proxylessnas_gpu": 0.476,
    "proxylessnas_mobile_14": 0.597,
    "efficientnet_lite0": 0.407,
}


def trained_parameters(network: Network) -> int:
    return sum(
        math.prod(layer.weight_shape) + (2 if layer.normalised else 1) * layer.out_channels
        for _, layer in named_layers(network.operators)
        if layer.has_weights
    )


def giga_macs(name: str) -> float:
    return sum(map(macs, SHIPPED_NETWORKS[name]().operators)) / 1e9


def test_there_are_figures_for_every_shipped_network() -> None:
    assert PARAMETERS.keys() == SHIPPED_NETWORKS.keys()
    assert GIGA_MACS.keys() | GIGA_MACS_AND_MORE.keys() == SHIPPED_NETWORKS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name: str) -> None:
    assert trained_parameters(SHIPPED_NETWORKS[name]()) == PARAMETERS[name]


@pytest.mark.parametrize("name", GIGA_MACS)
def test_multiply_accumulates_are_the_published_ones(name: str) -> None:
    published = GIGA_MACS[name]
    digits = len(published.partition(".")[2])
    assert f"{giga_macs(name):.{digits}f}" == published


@pytest.mark.parametrize("name", GIGA_MACS_AND_MORE)
def test_what_else_is_counted_is_a_few_percent(name: str) -> None:
    published = GIGA_MACS_AND_MORE[name]
    assert 0.94 * published < giga_macs(name) < published


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_size_classes_and_precision_can_be_others(name: str) -> None:
    network = SHIPPED_NETWORKS[name](input_size=96, classes=10, precision="int8")
    assert (network.input_size, network.classes) == (96, 10)
    assert {operator.precision for operator in network.operators} == {"int8"}
    assert network.name.startswith(f"{name} 96")


def test_narrow_mobilenet_v3_keeps_its_last_convolution_wide() -> None:
    network = mobilenet_v3_large(width=0.75)
    mix = network.operators[-2]
    assert isinstance(mix, FeatureMix)
    assert isinstance(network.operators[-3], GlobalPool)
    assert (mix.input_size, mix.in_channels, mix.out_channels) == (1, 720, 1280)


def test_released_blocks_add_their_input_from_a_stages_second_block_on() -> None:
    network = SHIPPED_NETWORKS["proxylessnas_mobile"]()
    blocks = [operator for operator in network.operators if isinstance(operator, MBConv)]
    assert [block.residual for block in blocks] == [
        *(False,) * 2,
        True,
        *((False, True, True, True) * 4),
        False,
    ]
