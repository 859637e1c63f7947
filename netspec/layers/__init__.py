"""What an operator is made of: the one decomposition that every room builds from.

The encoder writes these layers, torch modules train them, fake quantization places its ranges
after them. So what is priced is what is trained and deployed. A room that meets a kind of layer
that it does not know refuses it by name, see `netspec.errors.UnknownLayer`.
"""

from netspec.layers.graph import LayerGraph, Value, sized, walk
from netspec.layers.layer import (
    INPUT,
    Activation,
    FusedActivation,
    Layer,
    LayerKind,
    PaddingRule,
    same_padding,
)
from netspec.layers.parameters import (
    ActivationRange,
    Float32Array,
    LayerWeights,
    Parameters,
    layer_name,
)

__all__ = [
    "INPUT",
    "Activation",
    "ActivationRange",
    "Float32Array",
    "FusedActivation",
    "Layer",
    "LayerGraph",
    "LayerKind",
    "LayerWeights",
    "PaddingRule",
    "Parameters",
    "Value",
    "layer_name",
    "same_padding",
    "sized",
    "walk",
]
