"""EfficientNet-Lite0."""

from __future__ import annotations

from netspec.networks.chain import Chain
from netspec.networks.network import Network
from netspec.operators import Classifier, HeadConv, Kernel, MBConv, Precision, StemConv, Stride

#: (expand, kernel, channels, depth, first stride) of each stage. Source: EfficientNet (ICML 2019),
#: table 1, without squeeze-and-excitation and with ReLU6, as in `efficientnet/lite` of its code.
LITE0: tuple[tuple[int, Kernel, int, int, Stride], ...] = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def efficientnet_lite0(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """EfficientNet-Lite0 at an input size (px)."""
    chain = Chain(input_size, precision)
    chain.add(StemConv, 32, stride=2)
    for expand, kernel, channels, depth, first_stride in LITE0:
        for index in range(depth):
            stride: Stride = first_stride if index == 0 else 1
            chain.add(MBConv, channels, kernel=kernel, expand=expand, stride=stride)
    chain.add(HeadConv, 1280)
    chain.add(Classifier, classes)
    return chain.network(f"efficientnet_lite0 {input_size}")
