"""The networks that ProxylessNAS found and released, for a phone, a CPU and a GPU.

Source: ProxylessNAS (ICLR 2019), figure 4, and its released `net.config` files.
"""

from __future__ import annotations

from dataclasses import dataclass

from netspec.networks.chain import Chain
from netspec.networks.network import Network
from netspec.operators import Classifier, HeadConv, MBConv, Precision, StemConv, Stride

#: stride of the first block of each stage
_STRIDES: tuple[Stride, ...] = (2, 2, 2, 1, 2, 1)


@dataclass(frozen=True)
class _Plan:
    """Channels of everything, and the blocks of each stage; those that are skipped are left out."""

    stem: int
    first: int
    channels: tuple[int, ...]
    #: of each stage, a block a word: kernel and ratio
    blocks: tuple[str, ...]
    head: int


_MOBILE_BLOCKS = (
    "k5e3 k3e3",
    "k7e3 k3e3 k5e3 k5e3",
    "k7e6 k5e3 k5e3 k5e3",
    "k5e6 k5e3 k5e3 k5e3",
    "k7e6 k7e6 k7e3 k7e3",
    "k7e6",
)
_MOBILE = _Plan(32, 16, (32, 40, 80, 96, 192, 320), _MOBILE_BLOCKS, 1280)
_MOBILE_14 = _Plan(48, 24, (40, 56, 112, 136, 256, 448), _MOBILE_BLOCKS, 1792)
_CPU = _Plan(
    40,
    24,
    (32, 48, 88, 104, 216, 360),
    (
        "k3e6 k3e3 k3e3 k3e3",
        "k3e6 k3e3 k3e3 k5e3",
        "k3e6 k3e3",
        "k5e6 k3e3 k3e3 k3e3",
        "k5e6 k5e3 k5e3 k3e3",
        "k5e6",
    ),
    1432,
)
_GPU = _Plan(
    40,
    24,
    (32, 56, 112, 128, 256, 432),
    (
        "k5e3",
        "k7e3 k3e3",
        "k7e6 k5e3",
        "k5e6 k3e3 k5e3",
        "k7e6 k7e6 k7e6 k5e6",
        "k7e6",
    ),
    1728,
)


def proxylessnas_mobile(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """ProxylessNAS-Mobile at an input size (px)."""
    return _network("proxylessnas_mobile", _MOBILE, input_size, classes, precision)


def proxylessnas_mobile_14(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """ProxylessNAS-Mobile at width 1.4, and an input size (px)."""
    return _network("proxylessnas_mobile_14", _MOBILE_14, input_size, classes, precision)


def proxylessnas_cpu(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """ProxylessNAS-CPU at an input size (px)."""
    return _network("proxylessnas_cpu", _CPU, input_size, classes, precision)


def proxylessnas_gpu(
    input_size: int = 224, classes: int = 1000, precision: Precision = "float32"
) -> Network:
    """ProxylessNAS-GPU at an input size (px)."""
    return _network("proxylessnas_gpu", _GPU, input_size, classes, precision)


def _network(
    name: str, plan: _Plan, input_size: int, classes: int, precision: Precision
) -> Network:
    chain = Chain(input_size, precision)
    chain.add(StemConv, plan.stem, stride=2)
    chain.add(MBConv, plan.first, expand=1, residual=False)
    for channels, words, first_stride in zip(plan.channels, plan.blocks, _STRIDES, strict=True):
        for index, word in enumerate(words.split()):
            kernel, expand = word.removeprefix("k").split("e")
            chain.add(
                MBConv,
                channels,
                kernel=int(kernel),
                expand=int(expand),
                stride=first_stride if index == 0 else 1,
                # The released blocks add their input from a stage's second block on.
                residual=index > 0,
            )
    chain.add(HeadConv, plan.head)
    chain.add(Classifier, classes)
    return chain.network(f"{name} {input_size}")
