"""Hard-sigmoid and, in int8, hard-swish as converters and this package's encoder write them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from netspec.tflite.building import Building, TensorValue
from netspec.tflite.file_graph import GraphOperator


def source_of_gate(
    building: Building, operator: GraphOperator, x: TensorValue, number: float
) -> TensorValue | None:
    """The value whose hard-sigmoid it is, if a value times a number is one: relu6(source + 3) / 6.

    Args:
        building: as far as it is.
        operator: the product.
        x: the value that is multiplied.
        number: it is multiplied by.
    """
    before = building.layers.get(x.name)
    if (
        before is not None
        and before.layer.kind == "add"
        and before.layer.activation == "relu6"
        and _is_read_once(building, operator, x)
        and math.isclose(building.operands.get(x.name, math.nan), 3.0, rel_tol=0.01)
        and math.isclose(number, 1 / 6, rel_tol=0.01)
    ):
        return replace(x, name=before.layer.inputs[0])
    return None


def gated_by_itself(
    building: Building, operator: GraphOperator, values: Sequence[TensorValue]
) -> tuple[TensorValue, TensorValue] | None:
    """A value and its hard-sigmoid, if a product in int8 is of these: hard-swish.

    Args:
        building: as far as it is.
        operator: the product.
        values: both that are multiplied.
    """
    for x, gate in itertools.permutations(values):
        made = building.layers.get(gate.name)
        if (
            made is not None
            and (made.layer.kind, made.layer.inputs) == ("hard_sigmoid", (x.name,))
            and made.precision == "int8"
            and _is_read_once(building, operator, gate)
        ):
            return x, gate
    return None


def _is_read_once(building: Building, operator: GraphOperator, value: TensorValue) -> bool:
    position = next(
        at
        for at, one in enumerate(operator.inputs)
        if one is not None and building.values.get(one.index) == value
    )
    return building.read_once(operator, position)
