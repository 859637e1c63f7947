"""The numbers that turn layers into a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspec.layers.layer import Layer

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LayerWeights:
    """Weights of one layer with BatchNorm folded in."""

    #: float32, in `Layer.weight_shape`
    weight: Float32Array
    #: float32, [out_channels]
    bias: Float32Array


@dataclass(frozen=True)
class ActivationRange:
    """Least and greatest real value that an int8 tensor represents; 0 lies within."""

    low: float
    high: float


@dataclass(frozen=True)
class Parameters:
    """All numbers that turn a chain of operators into a model.

    Names are `layer_name(operator index, layer)`; the range of the chain's input is `INPUT`.
    """

    weights: Mapping[str, LayerWeights]
    #: empty for float32; those of `netspec.quantization.has_own_range` are used
    ranges: Mapping[str, ActivationRange]


def layer_name(operator_index: int, layer: Layer) -> str:
    """The layer's name within a chain of operators, for instance `3.depthwise`."""
    return f"{operator_index}.{layer.name}"
