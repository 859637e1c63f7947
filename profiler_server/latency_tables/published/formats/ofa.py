"""Once-for-all's table for MobileNetV3: YAML, `key: {count, mean, std}`, mean in ms.

`expand` is the number of middle channels, `Conv_1` MobileNetV3's final expansion, and
`Logits` does not pool. What has hard swish or squeeze-and-excitation is no operator of ours.
"""

from __future__ import annotations

from netspec.operators import Classifier, HeadConv, MBConv, Operator, Precision, StemConv
from profiler_server.latency_tables.published.formats import keyed
from profiler_server.latency_tables.published.formats.keyed import LayerKey
from profiler_server.latency_tables.published.formats.table import Unrepresentable, make_operator

_OPTIONS = ("expand", "kernel", "stride", "idskip", "se", "hs")
_FOREIGN = {
    "Conv": "MobileNetV3's stem has hard swish",
    "Conv_1": "the final expansion has hard swish; it is not the head",
    "AvgPool2D": "pooling alone is no operator",
    "Conv_2": "the feature mix after pooling has hard swish",
}


def _operator(layer: LayerKey, precision: Precision) -> Operator:
    fields = {**layer.fields, "precision": precision}
    if layer.type == "expanded_conv":
        layer.require_options(*_OPTIONS)
        return layer.require_output(_block(layer, precision))
    layer.require_options()
    if layer.type == "Logits" and layer.out_size is None:
        if layer.in_size != 1:
            raise Unrepresentable("the format's Logits does not pool, so its input must be 1x1")
        return make_operator(kind="classifier", **fields)
    raise Unrepresentable(_FOREIGN.get(layer.type, "not a layer of this format"))


def _block(layer: LayerKey, precision: Precision) -> Operator:
    options = layer.options
    if options["se"] != 0:
        raise Unrepresentable("squeeze-and-excitation is no part of our blocks")
    if options["hs"] != 0:
        raise Unrepresentable("hard swish is no activation of ours")
    if layer.in_channels == 0 or options["expand"] % layer.in_channels:
        raise Unrepresentable("the middle channels are no whole multiple of the input's")
    return make_operator(
        kind="mbconv",
        **layer.fields,
        precision=precision,
        kernel=options["kernel"],
        stride=options["stride"],
        expand=options["expand"] // layer.in_channels,
        residual=options["idskip"],
        activation="relu",
    )


def _layer(operator: Operator) -> LayerKey:
    if isinstance(operator, MBConv):
        if operator.activation != "relu":
            raise Unrepresentable("the format has relu or hard swish")
        residual = int(operator.residual)
        values = (operator.middle_channels, operator.kernel, operator.stride, residual, 0, 0)
        return LayerKey.spelling(
            operator, "expanded_conv", dict(zip(_OPTIONS, values, strict=True))
        )
    if isinstance(operator, Classifier):
        if operator.input_size != 1:
            raise Unrepresentable("the format's Logits does not pool")
        return LayerKey.spelling(operator, "Logits", {})
    if isinstance(operator, StemConv | HeadConv):
        raise Unrepresentable("the format's other convolutions have hard swish")
    raise Unrepresentable(f"the format knows no {operator.title}")


FORMAT = keyed.format_of(keyed.StdRecord, "std", _operator, _layer)
