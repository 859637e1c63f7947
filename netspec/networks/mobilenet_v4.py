"""MobileNetV4-Conv-Small."""

from __future__ import annotations

from typing import NamedTuple

from netspec.networks.chain import Chain
from netspec.networks.network import Network
from netspec.operators import (
    Classifier,
    Conv,
    GlobalPool,
    HeadConv,
    Precision,
    StemConv,
    Stride,
    UniversalBottleneck,
)


class UniversalRow(NamedTuple):
    """A universal inverted bottleneck: both kernels, the ratio of middle to input, the output."""

    start: int
    filter: int
    expand: int
    channels: int
    stride: Stride


#: Source: MobileNetV4 (ECCV 2024), table of MNv4-Conv-S; `MNV4ConvSmall_BLOCK_SPECS` of its code.
CONV_SMALL = (
    UniversalRow(5, 5, 3, 96, 2),
    *(UniversalRow(0, 3, 2, 96, 1),) * 4,
    UniversalRow(3, 0, 4, 96, 1),
    UniversalRow(3, 3, 6, 128, 2),
    UniversalRow(5, 5, 4, 128, 1),
    UniversalRow(0, 5, 4, 128, 1),
    UniversalRow(0, 5, 3, 128, 1),
    *(UniversalRow(0, 3, 4, 128, 1),) * 2,
)


def mobilenet_v4_conv_small(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """MobileNetV4-Conv-Small at an input size (px). Source: MobileNetV4 (ECCV 2024)."""
    chain = Chain(input_size, precision)
    chain.add(StemConv, 32, stride=2, activation="relu")
    chain.add(Conv, 32, stride=2)
    chain.add(Conv, 32, kernel=1)
    chain.add(Conv, 96, stride=2)
    chain.add(Conv, 64, kernel=1)
    for row in CONV_SMALL:
        chain.add(
            UniversalBottleneck,
            row.channels,
            start=row.start,
            filter=row.filter,
            middle=row.expand * chain.channels,
            stride=row.stride,
        )
    chain.add(HeadConv, 960, activation="relu")
    chain.add(GlobalPool)
    chain.add(HeadConv, 1280, activation="relu")
    chain.add(Classifier, classes)
    return chain.network(f"mobilenet_v4_conv_small {input_size}")
