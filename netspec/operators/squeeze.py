"""Squeeze-and-excitation, a part of several operators."""

from __future__ import annotations

from typing import Literal

from netspec.layers import LayerGraph, Value

#: what makes factors between 0 and 1
Gate = Literal["hard_sigmoid", "sigmoid"]


def squeeze_and_excite(graph: LayerGraph, x: Value, channels: int, gate: Gate) -> Value:
    """Each channel of `x` times a factor that follows from the means of all channels.

    Its convolutions have biases and no BatchNorm. Source: Hu et al. (CVPR 2018); hard-sigmoid
    after MobileNetV3 (ICCV 2019), section 5.3.

    Args:
        graph: to add the layers to.
        x: an image.
        channels: between the two convolutions.
        gate: the second one's activation.
    """
    y = graph.global_average("squeeze", x)
    y = graph.conv("reduce", y, channels, activation="relu", normalised=False)
    y = graph.conv("excite", y, x.channels, activation=gate, normalised=False)
    return graph.multiply("scale", x, y)
