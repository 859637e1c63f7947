"""MobileNetV3, small and large."""

from __future__ import annotations

from typing import NamedTuple

from netspec.layers import Activation
from netspec.networks.chain import Chain
from netspec.networks.channels import round_channels
from netspec.networks.network import Network
from netspec.operators import (
    Bottleneck,
    Classifier,
    FeatureMix,
    GlobalPool,
    HeadConv,
    Kernel,
    Precision,
    StemConv,
    Stride,
)


class BlockRow(NamedTuple):
    """A block as the paper's tables have it; channels are those at width 1."""

    kernel: Kernel
    #: channels of the depthwise convolution
    middle: int
    channels: int
    squeeze: bool
    activation: Activation
    stride: Stride


#: Source: MobileNetV3 (ICCV 2019), table 1.
LARGE = (
    BlockRow(3, 16, 16, False, "relu", 1),
    BlockRow(3, 64, 24, False, "relu", 2),
    BlockRow(3, 72, 24, False, "relu", 1),
    BlockRow(5, 72, 40, True, "relu", 2),
    BlockRow(5, 120, 40, True, "relu", 1),
    BlockRow(5, 120, 40, True, "relu", 1),
    BlockRow(3, 240, 80, False, "hard_swish", 2),
    BlockRow(3, 200, 80, False, "hard_swish", 1),
    BlockRow(3, 184, 80, False, "hard_swish", 1),
    BlockRow(3, 184, 80, False, "hard_swish", 1),
    BlockRow(3, 480, 112, True, "hard_swish", 1),
    BlockRow(3, 672, 112, True, "hard_swish", 1),
    BlockRow(5, 672, 160, True, "hard_swish", 2),
    BlockRow(5, 960, 160, True, "hard_swish", 1),
    BlockRow(5, 960, 160, True, "hard_swish", 1),
)
#: Source: MobileNetV3 (ICCV 2019), table 2.
SMALL = (
    BlockRow(3, 16, 16, True, "relu", 2),
    BlockRow(3, 72, 24, False, "relu", 2),
    BlockRow(3, 88, 24, False, "relu", 1),
    BlockRow(5, 96, 40, True, "hard_swish", 2),
    BlockRow(5, 240, 40, True, "hard_swish", 1),
    BlockRow(5, 240, 40, True, "hard_swish", 1),
    BlockRow(5, 120, 48, True, "hard_swish", 1),
    BlockRow(5, 144, 48, True, "hard_swish", 1),
    BlockRow(5, 288, 96, True, "hard_swish", 2),
    BlockRow(5, 576, 96, True, "hard_swish", 1),
    BlockRow(5, 576, 96, True, "hard_swish", 1),
)
#: the middle's channels divided by those between the convolutions of squeeze-and-excitation.
#: Source: MobileNetV3, section 5.3.
REDUCTION = 4


def mobilenet_v3_large(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MobileNetV3-Large at an input size (px) and width multiplier.

    The last 1x1 convolution stays 1280 channels wide below width 1. Source: MobileNetV3 (ICCV
    2019), table 1.
    """
    chain = _chain(LARGE, 960, 1280, (input_size, width, classes), precision)
    return chain.network(f"mobilenet_v3_large {input_size}-{width:g}")


def mobilenet_v3_small(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MobileNetV3-Small at an input size (px) and width multiplier.

    The last 1x1 convolution stays 1024 channels wide below width 1. Source: MobileNetV3 (ICCV
    2019), table 2.
    """
    chain = _chain(SMALL, 576, 1024, (input_size, width, classes), precision)
    return chain.network(f"mobilenet_v3_small {input_size}-{width:g}")


def _chain(
    rows: tuple[BlockRow, ...],
    head: int,
    mixed: int,
    sizes: tuple[int, float, int],
    precision: Precision,
) -> Chain:
    input_size, width, classes = sizes
    chain = Chain(input_size, precision)
    chain.add(StemConv, round_channels(16 * width), stride=2, activation="hard_swish")
    for row in rows:
        middle = round_channels(row.middle * width)
        chain.add(
            Bottleneck,
            round_channels(row.channels * width),
            kernel=row.kernel,
            middle=middle,
            squeeze=round_channels(middle // REDUCTION) if row.squeeze else 0,
            stride=row.stride,
            activation=row.activation,
        )
    chain.add(HeadConv, round_channels(head * width), activation="hard_swish")
    chain.add(GlobalPool)
    chain.add(FeatureMix, round_channels(mixed * max(1.0, width)))
    chain.add(Classifier, classes)
    return chain
