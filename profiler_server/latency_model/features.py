"""What an operator's latency follows from: work, memory traffic and shape, as logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspec.operators import (
    Classifier,
    Convert,
    HeadConv,
    MBConv,
    Operator,
    Precision,
    StemConv,
)
from profiler_server.latency_model.design import Array, OperatorPrice, Priced

_BYTES: dict[Precision, int] = {"float32": 4, "int8": 1}
#: names of the columns of `features`
COLUMNS = (
    "log pointwise MACs",
    "log depthwise MACs",
    "log bytes of weights",
    "log bytes of activations",
    "log widest channels",
    "log output side",
    "stride 2",
    "residual",
    "log kernel",
    "kernel 7 and beyond",
    "stem",
    "head",
    "classifier",
    "convert",
)
#: kernels from here on leave the fast paths of common runtimes
_LARGE_KERNEL = 7


@dataclass(frozen=True)
class Work:
    """What one run of an operator does."""

    #: multiply-accumulates of dense and 1x1 convolutions and of the classifier
    pointwise_macs: int
    #: of the depthwise convolution
    depthwise_macs: int
    weights: int
    #: values read and written, intermediate ones too
    activations: int

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        return self.pointwise_macs + self.depthwise_macs


def work(operator: Operator) -> Work:
    """The operator's work, counted from its shapes; biases are left out."""
    area_in, area_out = operator.input_size**2, operator.output_size**2
    ins, outs = operator.in_channels, operator.out_channels
    ends = area_in * ins + area_out * outs
    match operator:
        case MBConv():
            middle = operator.middle_channels
            taps = operator.kernel**2 * middle
            expansion = ins * middle if operator.expand > 1 else 0
            inner = area_in * middle * (2 if operator.expand > 1 else 0) + 2 * area_out * middle
            return Work(
                pointwise_macs=area_in * expansion + area_out * middle * outs,
                depthwise_macs=area_out * taps,
                weights=expansion + taps + middle * outs,
                activations=ends + inner + (area_in * ins if operator.residual else 0),
            )
        case StemConv():
            taps = operator.kernel**2 * ins * outs
            return Work(area_out * taps, 0, taps, ends)
        case HeadConv():
            return Work(area_in * ins * outs, 0, ins * outs, ends)
        case Classifier():
            return Work(ins * outs, 0, ins * outs, ends)
        case Convert():
            return Work(0, 0, 0, ends)


def group(operator: Operator) -> str:
    """Operators whose entries are off together: those of one kind and kernel size."""
    match operator:
        case MBConv():
            return f"mbconv kernel {operator.kernel}"
        case _:
            return operator.kind


def weight_bytes(operator: Operator) -> int:
    """Weights that a run reads, in bytes; biases are left out."""
    return work(operator).weights * _BYTES[operator.precision]


def operator_price(operator: Operator, price: Priced) -> OperatorPrice:
    """An operator's entry with what a calibration goes by."""
    return OperatorPrice(
        price.value_ms,
        price.relative_error,
        group(operator),
        weight_bytes(operator),
        operator.output_size,
    )


def features(operators: Sequence[Operator]) -> Array:
    """One row an operator, see `COLUMNS`."""
    return np.array([_row(operator) for operator in operators], dtype=np.float64)


def _row(operator: Operator) -> tuple[float, ...]:
    does = work(operator)
    size = _BYTES[operator.precision]
    widest = operator.middle_channels if isinstance(operator, MBConv) else operator.out_channels
    kernel = getattr(operator, "kernel", 1)
    return (
        math.log1p(does.pointwise_macs),
        math.log1p(does.depthwise_macs),
        math.log1p(weight_bytes(operator)),
        math.log1p(does.activations * size),
        math.log(widest),
        math.log(operator.output_size),
        float(getattr(operator, "stride", 1) == 2),  # noqa: PLR2004
        float(getattr(operator, "residual", False)),
        math.log(kernel),
        float(kernel >= _LARGE_KERNEL),
        *(float(isinstance(operator, kind)) for kind in (StemConv, HeadConv, Classifier, Convert)),
    )
