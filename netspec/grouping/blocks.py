"""The operators of registered kinds whose layers are those of a part of a network.

An operator's layers follow from its fields, not the other way round. So fields are guessed by name
from the layers, and a guess counts if the layers that follow from it have the same form.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.grouping.forms import form_of, form_of_operator
from netspec.grouping.layer_network import PlacedLayer
from netspec.layers import Layer
from netspec.operators import OperatorBase, registered_operators

#: guesses tried of a kind
_MOST_GUESSES = 16


def operators_of_layers(placed: Sequence[PlacedLayer], entry: str) -> tuple[OperatorBase, ...]:
    """Every operator that the layers are, in the order of the registered kinds.

    Args:
        placed: in order of execution; all but the last are read within alone.
        entry: name of the one value that they read from without.
    """
    wanted = form_of(placed, entry)
    first, last = placed[0], placed[-1]
    shape = {
        "input_size": first.side,
        "in_channels": first.layer.in_channels,
        "out_channels": last.layer.out_channels,
        "precision": last.precision,
    }
    guesses = _guesses([one.layer for one in placed], [one.side for one in placed])
    found = [
        operator
        for kind in registered_operators_once()
        if (operator := _first_like(kind, shape, guesses, wanted)) is not None
    ]
    return tuple(alike for operator in found for alike in _however_padded(operator))


def _however_padded(operator: OperatorBase) -> tuple[OperatorBase, ...]:
    """The operator, and the same one by the other rule of padding, which takes as long."""
    if not operator.is_padded("symmetric"):
        return (operator,)
    return (operator, operator.model_copy(update={"padding": "symmetric"}))


_REGISTERED: list[tuple[type[OperatorBase], ...]] = []


def registered_operators_once() -> tuple[type[OperatorBase], ...]:
    """`registered_operators`, looked up once: entry points are read from the disk."""
    if not _REGISTERED:
        _REGISTERED.append(registered_operators())
    return _REGISTERED[0]


def _first_like(
    kind: type[OperatorBase],
    shape: Mapping[str, Any],
    guesses: Mapping[str, Sequence[Any]],
    wanted: object,
) -> OperatorBase | None:
    for fields in itertools.islice(_combined(kind, guesses), _MOST_GUESSES):
        try:
            operator = kind.model_validate({**shape, **fields})
            if form_of_operator(operator) == wanted:
                return operator
        except (ValidationError, InvalidSpec):
            # This guess is no operator; another may be.
            continue
    return None


def _combined(
    kind: type[OperatorBase], guesses: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Fields of a kind by every combination of guesses; those that nobody guesses stay out."""
    names = [name for name in kind.key_fields if name in guesses]
    for values in itertools.product(*(guesses[name] for name in names)):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _guesses(layers: Sequence[Layer], sides: Sequence[int]) -> dict[str, list[Any]]:
    """Values that a field of each name may have; None leaves it out."""
    spatial = [
        layer
        for layer, side in zip(layers, sides, strict=True)
        if layer.has_weights and (side > 1 or sides[0] == 1)
    ]
    inner = [layer.out_channels for layer in spatial[:-1]]
    middles = list(dict.fromkeys([*inner[:1], max(inner, default=0)])) if inner else []
    entering = layers[0].in_channels
    kinds = [layer.kind for layer in layers]
    strides = max(layer.stride for layer in layers)
    gates = [kind for kind in kinds if kind in ("hard_sigmoid", "sigmoid")]
    last = layers[-1]
    return {
        "kernel": [max(layer.kernel for layer in layers)],
        "middle": middles or [entering],
        "expand": [middle // entering for middle in middles] or [1],
        "stride": [strides],
        "residual": ["add" in kinds],
        "activation": _activations(layers, spatial),
        "squeeze": [_squeezed(layers, sides)],
        "gate": [gates[-1] if gates else None],
        "groups": [
            last.in_channels if last.kind == "depthwise" else max(one.groups for one in layers)
        ],
        "start": [_depthwise(layers, first=True)],
        "filter": [_depthwise(layers, first=False)],
        "pooled": ["max" if "global_max" in kinds or "max_pool" in kinds else "average"],
    }


def _activations(layers: Sequence[Layer], spatial: Sequence[Layer]) -> list[str]:
    """Fused or following activations of the layers with weights, the first one's first."""
    following: dict[str, str] = {
        name: layer.kind
        for layer in layers
        if layer.kind in ("relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid")
        for name in layer.inputs
    }
    found: list[str] = [layer.activation or following.get(layer.name, "none") for layer in spatial]
    return list(dict.fromkeys(found)) or ["none"]


def _squeezed(layers: Sequence[Layer], sides: Sequence[int]) -> int | None:
    """Channels of the first convolution after a global average; None without one."""
    pooled = False
    for layer, side in zip(layers, sides, strict=True):
        if pooled and layer.has_weights and side == 1:
            return layer.out_channels
        pooled = pooled or layer.kind in ("mean", "global_average")
    return None


def _depthwise(layers: Sequence[Layer], *, first: bool) -> int:
    """Kernel of the depthwise convolution before or after the first plain one, 0 without."""
    plain = next((at for at, layer in enumerate(layers) if layer.kind == "conv"), len(layers))
    part = layers[:plain] if first else layers[plain:]
    return next((layer.kernel for layer in part if layer.kind == "depthwise"), 0)
