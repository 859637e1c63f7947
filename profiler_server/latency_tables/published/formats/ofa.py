"""Once-for-all's table for MobileNetV3: YAML, `key: {count, mean, std}`, mean in ms.

`expand` is the number of middle channels, `Conv_1` MobileNetV3's final expansion, `AvgPool2D` the
pooling behind it, `Conv_2` the feature mix behind that, and `Logits` does not pool. Source of the
keys: the latency tables of mit-han-lab/once-for-all, `MBv3LatencyTable`.
"""

from __future__ import annotations

from netspec.network_files import squeezed_channels
from netspec.operators import (
    Bottleneck,
    Classifier,
    FeatureMix,
    GlobalPool,
    HeadConv,
    Operator,
    Precision,
    StemConv,
)
from profiler_server.latency_tables.published.formats import keyed
from profiler_server.latency_tables.published.formats.keyed import LayerKey
from profiler_server.latency_tables.published.formats.table import Unrepresentable, make_operator

_OPTIONS = ("expand", "kernel", "stride", "idskip", "se", "hs")
_KINDS = (StemConv, Bottleneck, HeadConv, FeatureMix, GlobalPool, Classifier)


def _operator(layer: LayerKey, precision: Precision) -> Operator:
    fields = {**layer.fields, "precision": precision}
    if layer.type == "expanded_conv":
        layer.require_options(*_OPTIONS)
        return layer.require_output(_block(layer, precision))
    layer.require_options()
    match layer.type:
        case "Conv":
            stem = make_operator(kind="stem", **fields, kernel=3, stride=2, activation="hard_swish")
            return layer.require_output(stem)
        case "Conv_1" | "Conv_2":
            kind = "head"
            if layer.type == "Conv_2":
                kind = "feature_mix"
                _require_pooled(layer)
            head = make_operator(kind=kind, **fields, activation="hard_swish")
            return layer.require_output(head)
        case "AvgPool2D":
            return layer.require_output(make_operator(kind="global_pool", **fields))
        case "Logits" if layer.out_size is None:
            _require_pooled(layer)
            return make_operator(kind="classifier", **fields)
    raise Unrepresentable("not a layer of this format")


def _require_pooled(layer: LayerKey) -> None:
    if layer.in_size != 1:
        raise Unrepresentable(f"the format's {layer.type} does not pool, so its input must be 1x1")


def _block(layer: LayerKey, precision: Precision) -> Operator:
    options = layer.options
    if not {options["se"], options["hs"]} <= {0, 1}:
        raise Unrepresentable("se and hs are 0 or 1")
    return make_operator(
        kind="bottleneck",
        **layer.fields,
        precision=precision,
        kernel=options["kernel"],
        middle=options["expand"],
        squeeze=squeezed_channels(options["expand"]) if options["se"] else 0,
        stride=options["stride"],
        residual=options["idskip"],
        activation="hard_swish" if options["hs"] else "relu",
    )


def _layer(operator: Operator) -> LayerKey:
    if isinstance(operator, Bottleneck):
        return LayerKey.spelling(operator, "expanded_conv", _options(operator))
    if isinstance(operator, Classifier):
        if operator.input_size != 1:
            raise Unrepresentable("the format's Logits does not pool")
        return LayerKey.spelling(operator, "Logits", {})
    if isinstance(operator, GlobalPool):
        if operator.pooled != "average":
            raise Unrepresentable("the format's pooling averages")
        return LayerKey.spelling(operator, "AvgPool2D", {})
    if getattr(operator, "activation", None) != "hard_swish":
        raise Unrepresentable("the format's other convolutions have hard swish")
    if isinstance(operator, StemConv):
        if (operator.kernel, operator.stride) != (3, 2):
            raise Unrepresentable("the format's stem is 3x3 with stride 2")
        return LayerKey.spelling(operator, "Conv", {})
    return LayerKey.spelling(operator, "Conv_2" if operator.input_size == 1 else "Conv_1", {})


def _options(block: Bottleneck) -> dict[str, int]:
    if block.activation not in ("relu", "hard_swish"):
        raise Unrepresentable("the format has relu or hard swish")
    if block.squeeze and (block.squeeze, block.gate) != (
        squeezed_channels(block.middle),
        "hard_sigmoid",
    ):
        raise Unrepresentable(
            "the format's squeeze-and-excitation has a quarter of the middle channels and a "
            "hard sigmoid"
        )
    values = (
        block.middle,
        block.kernel,
        block.stride,
        int(block.residual),
        int(block.squeeze > 0),
        int(block.activation == "hard_swish"),
    )
    return dict(zip(_OPTIONS, values, strict=True))


FORMAT = keyed.format_of(keyed.StdRecord, "std", _operator, _layer, _KINDS)
