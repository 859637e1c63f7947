"""ProxylessNAS's table: YAML, `key: {count, mean, var}`, mean in ms.

`expand` is the ratio, `Conv_1` the 1x1 head, `Logits` pools; every activation is relu6.
"""

from __future__ import annotations

from netspec.operators import Classifier, HeadConv, MBConv, Operator, Precision, StemConv
from profiler_server.latency_tables.published.formats import keyed
from profiler_server.latency_tables.published.formats.keyed import LayerKey
from profiler_server.latency_tables.published.formats.table import Unrepresentable, make_operator

_OPTIONS = ("expand", "kernel", "stride", "idskip")
_KINDS = (StemConv, MBConv, HeadConv, Classifier)


def _operator(layer: LayerKey, precision: Precision) -> Operator:
    fields = {**layer.fields, "precision": precision}
    if layer.type == "expanded_conv":
        layer.require_options(*_OPTIONS)
        options = layer.options
        block = make_operator(
            kind="mbconv",
            **fields,
            kernel=options["kernel"],
            stride=options["stride"],
            expand=options["expand"],
            residual=options["idskip"],
        )
        return layer.require_output(block)
    layer.require_options()
    if layer.type == "Conv":
        return layer.require_output(make_operator(kind="stem", **fields, kernel=3, stride=2))
    if layer.type == "Conv_1":
        return layer.require_output(make_operator(kind="head", **fields))
    if layer.type == "Logits" and layer.out_size is None:
        return make_operator(kind="classifier", **fields)
    raise Unrepresentable("not a layer of this format")


def _layer(operator: Operator) -> LayerKey:
    if not isinstance(operator, Classifier) and getattr(operator, "activation", "") != "relu6":
        raise Unrepresentable("the format means relu6")
    return LayerKey.spelling(operator, *_spell(operator))


def _spell(operator: Operator) -> tuple[str, dict[str, int]]:
    if isinstance(operator, Classifier):
        return "Logits", {}
    if isinstance(operator, HeadConv):
        return "Conv_1", {}
    if operator.total_stride > 1 and operator.input_size % 2:
        raise Unrepresentable("the format's readers round odd sides down at stride 2, we up")
    if isinstance(operator, MBConv):
        return "expanded_conv", _options(operator)
    if (operator.largest_kernel, operator.total_stride) != (3, 2):
        raise Unrepresentable("the format's stem is 3x3 with stride 2")
    return "Conv", {}


def _options(block: MBConv) -> dict[str, int]:
    values = (block.expand, block.kernel, block.stride, int(block.residual))
    return dict(zip(_OPTIONS, values, strict=True))


FORMAT = keyed.format_of(keyed.VarRecord, "var", _operator, _layer, _KINDS)
