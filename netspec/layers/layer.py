"""Layers: what operators are made of, and what every room builds, prices or trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: what the runtime's weighted layers and additions do on top at no further cost
FusedActivation = Literal["relu6", "relu"]
#: what may follow a layer; what is not fused is a layer of its own
Activation = Literal["relu6", "relu", "hard_swish", "hard_sigmoid", "sigmoid", "none"]

LayerKind = Literal[
    "conv",
    "depthwise",
    "dense",
    # over the whole image: `mean` gives [N, C], the other two an image of 1x1 px
    "mean",
    "global_average",
    "global_max",
    # over windows
    "average_pool",
    "max_pool",
    # of two images alike; `multiply` also of an image and one of 1x1 px
    "add",
    "multiply",
    "relu",
    "relu6",
    "hard_swish",
    "hard_sigmoid",
    "sigmoid",
    # over the channels of each pixel
    "softmax",
    # zeros around an image
    "pad",
    # of channels: one of each group in turn
    "shuffle",
    # to another precision
    "convert",
]

#: how many zeros go around an image before a convolution. `same`: as few as its size divided by the
#: stride needs, the odd one after, as in TensorFlow; `symmetric`: half a kernel on each side, as in
#: torch. They differ at stride 2 on even sizes.
PaddingRule = Literal["same", "symmetric"]

#: the name of an operator's, or of a whole chain's, input
INPUT = "input"


@dataclass(frozen=True)
class Layer:
    """One layer of an operator; it does not know the side of its image."""

    name: str
    kind: LayerKind
    #: of the first input
    in_channels: int
    out_channels: int
    #: side of the kernel or window in px; 1 where there is none
    kernel: int = 1
    stride: int = 1
    #: fused activation, None for a linear output
    activation: FusedActivation | None = None
    #: names of layers before it, or `INPUT`
    inputs: tuple[str, ...] = (INPUT,)
    #: groups of a `conv` or `shuffle`, each with its share of the channels
    groups: int = 1
    #: zeros (px) before and after each axis; None: SAME
    padding: tuple[int, int] | None = None
    #: whether BatchNorm follows the weights in training, to be folded into them
    normalised: bool = True

    @property
    def has_weights(self) -> bool:
        """Whether the layer carries a weight and a bias."""
        return self.kind in ("conv", "depthwise", "dense")

    @property
    def is_flat(self) -> bool:
        """Whether the output is [N, C], without an image's sides."""
        return self.kind in ("mean", "dense")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape in the `.tflite` layout: conv OHWI, depthwise 1HWO, dense OI; else empty."""
        if self.kind == "conv":
            inputs = self.in_channels // self.groups
            return (self.out_channels, self.kernel, self.kernel, inputs)
        if self.kind == "depthwise":
            return (1, self.kernel, self.kernel, self.out_channels)
        return (self.out_channels, self.in_channels) if self.kind == "dense" else ()

    @property
    def channel_axis(self) -> int:
        """Axis of the output channels in the weight, along which int8 scales vary."""
        return 3 if self.kind == "depthwise" else 0

    def output_side(self, side: int) -> int:
        """Side of the output for an input of that side, both px; 1 where it is flat."""
        if self.is_flat or self.kind in ("global_average", "global_max"):
            return 1
        if self.padding is None:
            return -(-side // self.stride)
        return (side + sum(self.padding) - self.kernel) // self.stride + 1


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (px) before and after one axis under SAME padding.

    The odd one goes after, as in TensorFlow; torch's symmetric padding differs
    at stride 2 on even sizes.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
