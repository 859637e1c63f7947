"""The operator that a single layer is."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.grouping.layer_network import PlacedLayer
from netspec.layers import Layer
from netspec.operators import OPERATOR, Operator
from netspec.operators.parts.elementwise import Applied
from netspec.validation import first_problem


def operator_of_layer(placed: PlacedLayer) -> Operator:
    """The operator of one layer, by which it is measured alone.

    A layer of two images is that of one which is read twice, and a dense layer is a 1x1 convolution
    of one pixel: the runtime has one kernel for both. Windows without padding are those of the SAME
    operator that gives as many pixels.

    Raises:
        InvalidSpec: no operator is like it; the message names the layer.
    """
    layer, side = placed.layer, placed.side
    if layer.padding == (0, 0) and placed.output_side != -(-side // layer.stride):
        side = placed.output_side * layer.stride
    fields: dict[str, Any] = {
        "input_size": side,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "precision": placed.precision,
        **_fields(layer),
    }
    try:
        operator: Operator = OPERATOR.validate_python(fields)
    except ValidationError as error:
        raise InvalidSpec(
            f"layer {layer.name} ({layer.kind}) is like no operator that can be measured: "
            f"{first_problem(error)}"
        ) from error
    if operator.output_size != placed.output_side:
        raise InvalidSpec(
            f"layer {layer.name} ({layer.kind}) gives {placed.output_side} px, and with SAME "
            f"padding {operator.output_size}; expected SAME padding, or none"
        )
    return operator


def _fields(layer: Layer) -> dict[str, Any]:  # noqa: PLR0911 (a table with conditions)
    match layer.kind:
        case "conv" | "depthwise" | "dense":
            return {
                "kind": "conv",
                "kernel": layer.kernel,
                "stride": layer.stride,
                "groups": layer.in_channels if layer.kind == "depthwise" else layer.groups,
                "activation": layer.activation or "none",
            }
        case "mean" | "global_average":
            return {"kind": "global_pool", "pooled": "average"}
        case "global_max":
            return {"kind": "global_pool", "pooled": "max"}
        case "average_pool" | "max_pool":
            pooled = layer.kind.removesuffix("_pool")
            size = {"kernel": layer.kernel, "stride": layer.stride}
            return {"kind": "pool", "pooled": pooled, **size}
        case "convert":
            return {"kind": "convert"}
        case "shuffle":
            return {"kind": "shuffle", "groups": layer.groups}
        case "pad":
            before, after = layer.padding or (0, 0)
            return {"kind": "padding", "before": before, "after": after}
        case applied if applied in get_args(Applied):
            return {"kind": "elementwise", "applied": applied}
    raise InvalidSpec(f"layer {layer.name} is of the kind {layer.kind!r}, which no operator has")
