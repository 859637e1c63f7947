"""Which operator each kernel of a profile belongs to.

The encoder writes an operator's layers one after the other, and XNNPACK runs them in that order, a
kernel a layer: convolutions under several names, and now and then a reshape or copy that belongs
to the layer before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from device_agent.errors import ProfileMismatch
from netspec.errors import UnknownLayer
from netspec.layers import Layer, LayerKind
from netspec.operators import Operator, Precision
from netspec.wire import MAX_KERNEL_NAME, MAX_PROFILED

_CONV = re.compile(r"Convolution|Fully Connected|CONV_2D")
_ADD = re.compile(r"Add|ADD")
# A value times itself is a square.
_MULTIPLY = re.compile(r"Multiply|MUL|Square")
_MEAN = re.compile(r"Mean|Pooling|MEAN")
#: how XNNPACK, and TFLite's own kernels, call what runs a layer, one after the other
_KERNELS: dict[LayerKind, tuple[re.Pattern[str], ...]] = {
    # A convolution of 1x1 px is a matrix product.
    "conv": (_CONV,),
    # Kernels that XNNPACK has no depthwise form for run as grouped convolutions.
    "depthwise": (re.compile(r"Convolution|DEPTHWISE_CONV_2D"),),
    "mean": (_MEAN,),
    "global_average": (_MEAN,),
    "global_max": (re.compile(r"Max Pooling|MAX_POOL_2D"),),
    "average_pool": (re.compile(r"Average Pooling|AVERAGE_POOL_2D"),),
    "max_pool": (re.compile(r"Max Pooling|MAX_POOL_2D"),),
    "dense": (re.compile(r"Fully Connected|FULLY_CONNECTED"),),
    "add": (_ADD,),
    "multiply": (_MULTIPLY,),
    "relu": (re.compile(r"Clamp|ReLU|RELU"),),
    "relu6": (re.compile(r"Clamp|ReLU|RELU6"),),
    "hard_swish": (re.compile(r"HardSwish|HARD_SWISH"),),
    "hard_sigmoid": (_ADD, _MULTIPLY),
    "sigmoid": (re.compile(r"Sigmoid|LOGISTIC"),),
    "softmax": (re.compile(r"Softmax|SOFTMAX", re.IGNORECASE),),
    "pad": (re.compile(r"Pad|PAD"),),
    # The reshapes around it only name the shape anew, where they run at all.
    "shuffle": (re.compile(r"Transpose|TRANSPOSE"),),
    "convert": (re.compile(r"Convert|QUANTIZE"),),
}
#: kernels of kinds that are written otherwise in int8
_CODED: dict[LayerKind, tuple[re.Pattern[str], ...]] = {"hard_swish": (_ADD, _MULTIPLY, _MULTIPLY)}
#: what XNNPACK may run such a layer as in int8: a function of one value is looked up
_LOOKED_UP = re.compile(r"Unary")
#: what moves values or cuts them off, and belongs to the layer before it
_TRAILS = re.compile(r"Reshape|Copy|Transpose|RESHAPE|Clamp")


def operators_of_kernels(operators: Sequence[Operator], kinds: Sequence[str]) -> tuple[int, ...]:
    """Of each kernel, the index of its operator.

    Args:
        operators: of the network that ran.
        kinds: of the kernels in the order of running, for instance
            `Convolution (NHWC, F32) IGEMM`.

    Raises:
        ProfileMismatch: a kernel is none of the next layer's, or there are too few or too many.
    """
    expected = [
        (index, layer, operator.precision, at)
        for index, operator in enumerate(operators)
        for layer in operator.layers
        for at in range(len(_patterns(layer, operator.precision)))
    ]
    found: list[int] = []
    done = 0
    for kind in kinds:
        taken = _taken(kind, expected[done][1:]) if done < len(expected) else 0
        if not taken and not _TRAILS.search(kind):
            if done == len(expected):
                raise _too(kinds, len(expected), "more")
            index, layer, *_ = expected[done]
            raise ProfileMismatch(
                f"the profile shows a kernel {kind!r} where layer {layer.name} of "
                f"{operators[index].key} ran; measure this target with the method `isolated`"
            )
        done += taken
        found.append(expected[max(0, done - 1)][0])
    if done < len(expected):
        raise _too(kinds, len(expected), "fewer")
    return tuple(found)


def _taken(kind: str, following: tuple[Layer, Precision, int]) -> int:
    """How many of the kernels that are expected next a kernel is: none, one, or a whole layer."""
    layer, precision, at = following
    patterns = _patterns(layer, precision)
    if patterns[at].search(kind):
        return 1
    return len(patterns) if at == 0 and len(patterns) > 1 and _LOOKED_UP.search(kind) else 0


def _patterns(layer: Layer, precision: Precision) -> tuple[re.Pattern[str], ...]:
    """Return the kernels of a layer, one after the other."""
    if layer.kind not in _KERNELS:
        raise UnknownLayer("the reader of profiles", layer.kind, layer.name)
    coded = precision == "int8" and layer.kind in _CODED
    return _CODED[layer.kind] if coded else _KERNELS[layer.kind]


def times_of(
    operators: Sequence[Operator], kinds: Sequence[str], kernels: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Times of a network's operators, or, of a model whose operators nobody knows, of its kernels.

    Args:
        operators: of the network that ran; none of an uploaded model.
        kinds: of the kernels in the order of running.
        kernels: their times, shape [runs, kernels].

    Returns:
        Times of shape [runs, operators], without names, or those of the kernels with their names.

    Raises:
        ProfileMismatch: the kernels are not the operators' layers.
    """
    if not operators and len(kinds) > MAX_PROFILED:
        raise ProfileMismatch(
            f"the profile shows {len(kinds)} kernels, and a visit carries at most {MAX_PROFILED}"
        )
    if not operators:
        return kernels, tuple(kind[:MAX_KERNEL_NAME] for kind in kinds)
    owners = operators_of_kernels(operators, kinds)
    return summed(kernels, owners, len(operators)), ()


def summed(
    kernels: npt.NDArray[np.float64], owners: Sequence[int], operators: int
) -> npt.NDArray[np.float64]:
    """Times of operators from times of kernels.

    Args:
        kernels: shape [runs, kernels].
        owners: of each kernel, the index of its operator.
        operators: how many there are.

    Returns:
        Shape [runs, operators].
    """
    times = np.zeros((len(kernels), operators))
    for column, owner in zip(kernels.T, owners, strict=True):
        times[:, owner] += column
    return times


def _too(kinds: Sequence[str], expected: int, how: str) -> ProfileMismatch:
    return ProfileMismatch(
        f"the profile shows {how} kernels ({len(kinds)}) than the network's layers need "
        f"({expected}): the runtime fuses them, or does not look into its delegate; "
        "measure this target with the method `isolated`"
    )
