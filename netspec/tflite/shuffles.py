"""Channels dealt out anew: groups that are turned between two reshapes are one layer."""

from __future__ import annotations

import math
from dataclasses import replace

from netspec.errors import UnreadableModel
from netspec.tflite.building import Building, ChannelGroups
from netspec.tflite.file_graph import GraphOperator

#: axes of the batch and the pixels, which may be one, before groups and their channels
_LEAST_RANK = 4


def regroups(building: Building, operator: GraphOperator) -> bool:
    """Take a RESHAPE or TRANSPOSE that splits channels into groups, turns these, or joins them.

    Returns:
        Whether it is one; any other RESHAPE is a view.

    Raises:
        UnreadableModel: a TRANSPOSE of anything else, or groups that are not joined again.
    """
    source, given = operator.inputs[0], operator.outputs[0]
    held = None if source is None else building.groups.get(source.index)
    if held is None:
        split = _split(building, operator) if operator.name == "RESHAPE" else None
        if split is not None:
            building.groups[given.index] = split
        elif operator.name == "TRANSPOSE":
            raise UnreadableModel(
                f"{operator.place} turns an image; expected channels in groups, between two "
                "reshapes: convert the model with channels last"
            )
        return split is not None
    if operator.name == "TRANSPOSE":
        order, rank = building.numbers(operator, 1), len(given.shape)
        if held.turned or order != [*range(rank - 2), rank - 1, rank - 2]:
            raise UnreadableModel(
                f"{operator.place} orders the axes as {order}; expected groups and their channels "
                "to change places, once"
            )
        building.groups[given.index] = replace(held, turned=True)
        return True
    x = held.value
    if not held.turned or given.shape != (1, x.side, x.side, x.channels):
        raise UnreadableModel(
            f"{operator.place} makes {given.shape} of channels in groups; expected them turned, "
            f"and an image of {x.side} px x {x.channels} again"
        )
    building.add(operator, "shuffle", [x], groups=held.groups)
    return True


def _split(building: Building, operator: GraphOperator) -> ChannelGroups | None:
    x, shape = building.image(operator), operator.outputs[0].shape
    *pixels, groups, share = shape[1:] if len(shape) >= _LEAST_RANK else (1, 1)
    whole = groups * share == x.channels and math.prod(pixels) == x.side**2
    return ChannelGroups(x, groups) if whole and groups > 1 else None
