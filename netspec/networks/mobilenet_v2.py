"""MobileNetV2, and the end that the ProxylessNAS space takes from it."""

from __future__ import annotations

from netspec.networks.chain import Chain
from netspec.networks.channels import round_channels
from netspec.networks.network import Network
from netspec.operators import Classifier, HeadConv, MBConv, Precision, StemConv, Stride

#: output channels of the head at width 1. Source: MobileNetV2, table 2.
HEAD_CHANNELS = 1280
#: (expand, channels, depth, first stride) of each stage. Source: MobileNetV2, table 2.
MOBILENET_V2_STAGES: tuple[tuple[int, int, int, Stride], ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MobileNetV2 at an input size (px) and width multiplier.

    The head stays 1280 channels wide below width 1.0. Source: MobileNetV2, table 2.
    """
    chain = Chain(input_size, precision)
    chain.add(StemConv, round_channels(32 * width), stride=2)
    for expand, channels, depth, first_stride in MOBILENET_V2_STAGES:
        for index in range(depth):
            stride: Stride = first_stride if index == 0 else 1
            chain.add(MBConv, round_channels(channels * width), expand=expand, stride=stride)
    chain.operators += head_and_classifier(chain.size, chain.channels, width, classes, precision)
    return chain.network(f"mobilenet_v2 {input_size}-{width:g}")


def head_and_classifier(
    input_size: int,
    channels: int,
    width: float,
    classes: int,
    precision: Precision,
    head_channels: int = HEAD_CHANNELS,
) -> tuple[HeadConv, Classifier]:
    """The last two operators, the same in MobileNetV2 and in the ProxylessNAS space."""
    head = HeadConv(
        input_size=input_size,
        in_channels=channels,
        out_channels=round_channels(head_channels * max(1.0, width)),
        precision=precision,
    )
    classifier = Classifier(
        input_size=input_size,
        in_channels=head.out_channels,
        out_channels=classes,
        precision=precision,
    )
    return head, classifier
