"""Operators of different kinds that are one and the same computation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from netspec.layers import Layer
from netspec.operators.base import OperatorBase
from netspec.operators.bottleneck import Bottleneck
from netspec.operators.conv import Conv
from netspec.operators.head import FeatureMix, HeadConv
from netspec.operators.mbconv import MBConv
from netspec.operators.stem import StemConv
from netspec.operators.union import Operator

#: kinds that are one convolution, those without kernel and stride first
_CONVOLUTIONS: tuple[type[OperatorBase], ...] = (HeadConv, FeatureMix, StemConv, Conv)


def equivalents(operator: Operator) -> tuple[Operator, ...]:
    """Return the operators of other kinds that a runtime computes by the very same layers.

    For instance the bottleneck of an MBConv's middle width, or a convolution for a head. What was
    measured of one is true of all. The operator itself is not among them.
    """
    layers = _deployed(operator)
    return tuple(one for one in _candidates(operator) if _deployed(one) == layers)


def _deployed(operator: Operator) -> list[Layer]:
    """Its layers as a runtime has them: BatchNorm is folded into the weights."""
    return [replace(layer, normalised=True) for layer in operator.layers]


def _candidates(operator: Operator) -> Iterator[Operator]:
    if isinstance(operator, MBConv):
        yield from _made(Bottleneck, operator, middle=operator.middle_channels)
    elif isinstance(operator, Bottleneck):
        expand, rest = divmod(operator.middle, operator.in_channels)
        if not rest and not operator.squeeze:
            yield from _made(MBConv, operator, expand=expand)
    elif isinstance(operator, _CONVOLUTIONS):
        window = {name: getattr(operator, name, 1) for name in ("kernel", "stride")}
        for kind in _CONVOLUTIONS:
            has_window = "kernel" in kind.model_fields
            if not isinstance(operator, kind) and (has_window or set(window.values()) == {1}):
                yield from _made(kind, operator, **(window if has_window else {}))


def _made(kind: type[OperatorBase], of: Operator, **fields: Any) -> Iterator[Operator]:
    """Yield the operator of a kind that has these fields and those in common with another, if any.

    What one kind can hold another cannot always: a middle of 262,144 channels, for instance.
    """
    common = (kind.model_fields.keys() & type(of).model_fields.keys()) - {"kind"}
    try:
        yield kind(**{**{name: getattr(of, name) for name in common}, **fields})
    except ValidationError:
        return
