"""MnasNet-A1."""

from __future__ import annotations

from typing import NamedTuple

from netspec.networks.chain import Chain
from netspec.networks.channels import round_channels
from netspec.networks.network import Network
from netspec.operators import (
    Bottleneck,
    Classifier,
    HeadConv,
    Kernel,
    Precision,
    StemConv,
    Stride,
)


class StageRow(NamedTuple):
    """A stage of alike blocks."""

    expand: int
    kernel: Kernel
    channels: int
    depth: int
    stride: Stride
    squeeze: bool


#: Source: MnasNet (CVPR 2019), figure 7a.
A1 = (
    StageRow(1, 3, 16, 1, 1, False),
    StageRow(6, 3, 24, 2, 2, False),
    StageRow(3, 5, 40, 3, 2, True),
    StageRow(6, 3, 80, 4, 2, False),
    StageRow(6, 3, 112, 2, 1, True),
    StageRow(6, 5, 160, 3, 2, True),
    StageRow(6, 3, 320, 1, 1, False),
)
#: channels of a block's input divided by those between the convolutions of squeeze-and-excitation
REDUCTION = 4


def mnasnet_a1(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MnasNet-A1 at an input size (px) and width multiplier; activations are ReLU.

    Source: MnasNet (CVPR 2019), figure 7a, and its released code: squeeze-and-excitation reduces to
    a quarter of the block's input, its gate is a sigmoid, the head stays 1280 channels wide below
    width 1.
    """
    chain = Chain(input_size, precision)
    chain.add(StemConv, round_channels(32 * width), stride=2, activation="relu")
    for row in A1:
        for index in range(row.depth):
            squeeze = chain.channels // REDUCTION if row.squeeze else 0
            chain.add(
                Bottleneck,
                round_channels(row.channels * width),
                kernel=row.kernel,
                middle=row.expand * chain.channels,
                squeeze=squeeze,
                stride=row.stride if index == 0 else 1,
                activation="relu",
                **({"gate": "sigmoid"} if squeeze else {}),
            )
    chain.add(HeadConv, round_channels(1280 * max(1.0, width)), activation="relu")
    chain.add(Classifier, classes)
    return chain.network(f"mnasnet_a1 {input_size}-{width:g}")
