"""MobileNetV1."""

from __future__ import annotations

from netspec.networks.chain import Chain
from netspec.networks.channels import round_channels
from netspec.networks.network import Network
from netspec.operators import Classifier, Conv, Precision, StemConv, Stride

#: (channels, stride) of each depthwise separable convolution. Source: MobileNets (2017), table 1.
BLOCKS: tuple[tuple[int, Stride], ...] = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1(
    input_size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    precision: Precision = "float32",
) -> Network:
    """MobileNetV1 at an input size (px) and width multiplier.

    Each block is two operators, a depthwise convolution and a 1x1 convolution, either with
    BatchNorm and ReLU6, as in the released code; the paper says ReLU.
    Source: MobileNets (2017), table 1.
    """
    chain = Chain(input_size, precision)
    chain.add(StemConv, round_channels(32 * width), stride=2)
    for channels, stride in BLOCKS:
        chain.add(Conv, groups=chain.channels, stride=stride, activation="relu6")
        chain.add(Conv, round_channels(channels * width), kernel=1, activation="relu6")
    chain.add(Classifier, classes)
    return chain.network(f"mobilenet_v1 {input_size}-{width:g}")
