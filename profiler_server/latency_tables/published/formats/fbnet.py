"""FBNet's table: one JSON record a line, each of one Caffe2 operator, runtimes in us.

Source: facebookresearch/mobile-vision, runtime_lut. A record is one convolution, pooling or fully
connected layer, so that a whole block has no record; relu is fused only into the int8 ones.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from netspec.operators import Classifier, Conv, GlobalPool, Operator, Pool, Precision
from netspec.validation import first_problem
from profiler_server.latency_tables.published.formats.table import (
    Price,
    ReadTable,
    TableFormat,
    TableToWrite,
    TableUnreadable,
    Unrepresentable,
    WrittenTable,
    first_of,
    make_operator,
    of_kinds,
    require_length,
)

_US_PER_MS = 1000.0
_KINDS = (Conv, Classifier, GlobalPool, Pool)
#: Caffe2's numbers for element types
_FLOAT, _INT32, _UINT8 = 1, 2, 6
_ARGUMENT = re.compile(r'\s*name: "(\w+)"\s+(?:i: (-?\d{1,18})|s: "(\w*)")\s*', re.ASCII)

_Microseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Shape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=8)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    op_type: Annotated[str, Field(min_length=1, max_length=200)]
    op_args: tuple[str, ...]
    input_shapes: tuple[_Shape, ...]
    input_dtypes: tuple[int, ...]
    runtime_us_p0: _Microseconds
    runtime_us_p10: _Microseconds
    runtime_us_p50: _Microseconds
    runtime_us_p90: _Microseconds
    runtime_us_p100: _Microseconds
    device: Annotated[str, Field(min_length=1, max_length=200)]

    @property
    def name(self) -> str:
        """What the format's own script calls the record."""
        shapes = [list(shape) for shape in self.input_shapes]
        arguments = " ".join(" ".join(text.split()) for text in self.op_args)
        return f"{self.op_type} with input {shapes} {arguments}".rstrip()


_RECORD = TypeAdapter(_Record)


def read(text: str, precision: Precision | None) -> ReadTable:
    """The prices of a document; records of one operator are averaged, as its own script does.

    Raises:
        TableUnreadable: it is no such document, names several devices, or a precision is given.
    """
    if precision is not None:
        raise TableUnreadable("the table names each operator's precision; leave --precision out")
    records = _records(text)
    devices = sorted({record.device for record in records})
    if len(devices) > 1:
        raise TableUnreadable(
            f"the table names {len(devices)} devices: {first_of(devices)}; split it by device"
        )
    found: dict[Operator, list[_Record]] = {}
    left_out: dict[str, str] = {}
    for record in records:
        try:
            found.setdefault(_operator(record), []).append(record)
        except Unrepresentable as why:
            left_out[record.name] = str(why)
    prices = tuple(_price(operator, its_records) for operator, its_records in found.items())
    return ReadTable(prices, left_out, devices[0])


def write(table: TableToWrite) -> WrittenTable:
    """The document of a table; p0 and p10 are the low end, p90 and p100 the high one."""
    lines: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for price in table.prices:
        low, high = price.low_ms * _US_PER_MS, price.high_ms * _US_PER_MS
        try:
            spelt = _spell(of_kinds(price.operator, _KINDS))
        except Unrepresentable as why:
            left_out[price.operator.key] = str(why)
            continue
        record = {
            **spelt,
            "runtime_us_p0": low,
            "runtime_us_p10": low,
            "runtime_us_p50": price.value_ms * _US_PER_MS,
            "runtime_us_p90": high,
            "runtime_us_p100": high,
            "device": table.device,
        }
        line = json.dumps(record) + "\n"
        # Two kinds of one computation are one record.
        if lines.setdefault(json.dumps(spelt), line) != line:
            left_out[price.operator.key] = "an operator of the same layers has its record"
    return WrittenTable("".join(lines.values()), left_out)


def _records(text: str) -> list[_Record]:
    require_length(text)
    records, malformed = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(_RECORD.validate_json(line))
        except ValidationError as error:
            malformed.append(f"line {number} ({first_problem(error)})")
    if malformed:
        raise TableUnreadable(f"{len(malformed)} lines are no records: {first_of(malformed)}")
    if not records:
        raise TableUnreadable("the table is empty; expected one JSON record a line")
    return records


def _price(operator: Operator, records: list[_Record]) -> Price:
    def mean_ms(values: list[float]) -> float:
        return sum(values) / len(values) / _US_PER_MS

    return Price(
        operator,
        value_ms=mean_ms([record.runtime_us_p50 for record in records]),
        low_ms=mean_ms([record.runtime_us_p0 for record in records]),
        high_ms=mean_ms([record.runtime_us_p100 for record in records]),
        count=len(records),
    )


def _operator(record: _Record) -> Operator:
    precision: Precision = "int8" if record.op_type.startswith("Int8") else "float32"
    match record.op_type:
        case "Conv" | "Int8Conv":
            return _convolution(record, precision, "none")
        case "Int8ConvRelu":
            return _convolution(record, precision, "relu")
        case "FC" | "Int8FC":
            return _fully_connected(record)
        case "AveragePool" | "Int8AveragePool":
            return _pooling(record, precision, "average")
        case "MaxPool" | "Int8MaxPool":
            return _pooling(record, precision, "max")
    raise Unrepresentable("no operator of ours")


def _convolution(record: _Record, precision: Precision, activation: str) -> Operator:
    arguments = _arguments(record)
    image, weights = _two_shapes(record, 4, 4)
    channels_last = _pop_is_nhwc(arguments, precision)
    batch, height, width, in_channels = _nhwc(image, channels_last=channels_last)
    out_channels, kernel, kernel_width, in_group = _nhwc(weights, channels_last=channels_last)
    if batch != 1 or height != width or kernel != kernel_width:
        raise Unrepresentable("not one square image with a square kernel")
    groups = arguments.pop("group", 1)
    if groups * in_group != in_channels:
        raise Unrepresentable("the weights are not of so many groups")
    if arguments.pop("kernel", kernel) != kernel or arguments.pop("pad", 0) != kernel // 2:
        raise Unrepresentable("the padding keeps not the side")
    if arguments.pop("dilation", 1) != 1:
        raise Unrepresentable("a dilated convolution is no operator of ours")
    stride = arguments.pop("stride", 1)
    _require_no_more(arguments)
    return make_operator(
        kind="conv",
        input_size=height,
        in_channels=in_channels,
        out_channels=out_channels,
        precision=precision,
        kernel=kernel,
        groups=groups,
        stride=stride,
        activation=activation,
    )


def _pooling(record: _Record, precision: Precision, pooled: str) -> Operator:
    arguments = _arguments(record)
    if len(record.input_shapes) != 1 or len(record.input_shapes[0]) != 4:  # noqa: PLR2004 - NHWC
        raise Unrepresentable("expected the shape of one image")
    channels_last = _pop_is_nhwc(arguments, precision)
    batch, height, width, channels = _nhwc(record.input_shapes[0], channels_last=channels_last)
    if batch != 1 or height != width:
        raise Unrepresentable("not one square image")
    fields = {
        "input_size": height,
        "in_channels": channels,
        "out_channels": channels,
        "precision": precision,
        "pooled": pooled,
    }
    everything = arguments.pop("global_pooling", 0)
    kernel = arguments.pop("kernel", height if everything else 1)
    stride, pad = arguments.pop("stride", 1), arguments.pop("pad", 0)
    _require_no_more(arguments)
    if everything or (kernel == height and not pad):
        return make_operator(kind="global_pool", **fields)
    if stride < 1 or (height + 2 * pad - kernel) // stride + 1 != -(-height // stride):
        raise Unrepresentable("the padding keeps not the side")
    return make_operator(kind="pool", **fields, kernel=kernel, stride=stride)


def _pop_is_nhwc(arguments: dict[str, Any], precision: Precision) -> bool:
    order = arguments.pop("order", "NCHW")
    if order not in ("NHWC", "NCHW") or (precision == "int8" and order != "NHWC"):
        raise Unrepresentable("an int8 operator has order NHWC, any other NHWC or NCHW")
    return bool(order == "NHWC")


def _nhwc(shape: tuple[int, ...], *, channels_last: bool) -> tuple[int, int, int, int]:
    """Batch, or output channels of weights; height, width and channels."""
    first, *rest = shape
    height, width, channels = rest if channels_last else (*rest[1:], rest[0])
    return first, height, width, channels


def _require_no_more(arguments: dict[str, Any]) -> None:
    if arguments:
        raise Unrepresentable(f"unknown arguments {', '.join(sorted(arguments))}")


def _fully_connected(record: _Record) -> Operator:
    arguments = _arguments(record)
    arguments.pop("order", None)
    if arguments:
        raise Unrepresentable(f"unknown arguments {', '.join(sorted(arguments))}")
    vector, weights = _two_shapes(record, None, 2)
    in_channels = vector[-1]
    if any(side != 1 for side in vector[:-1]) or weights[1] != in_channels:
        raise Unrepresentable("not one vector as long as the weights")
    return make_operator(
        kind="classifier",
        input_size=1,
        in_channels=in_channels,
        out_channels=weights[0],
        precision="int8" if record.op_type == "Int8FC" else "float32",
    )


def _two_shapes(
    record: _Record, image_axes: int | None, weight_axes: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if len(record.input_shapes) not in (2, 3):
        raise Unrepresentable("expected the shapes of input, weights and bias")
    image, weights = record.input_shapes[:2]
    if not image or len(weights) != weight_axes or image_axes not in (None, len(image)):
        raise Unrepresentable("a shape has another number of axes")
    return image, weights


def _arguments(record: _Record) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for text in record.op_args:
        match = _ARGUMENT.fullmatch(text)
        if match is None or match[1] in arguments:
            raise Unrepresentable("an argument is not name and number, or given twice")
        # A limit on scratch memory, which the format's own script ignores, too.
        if match[1] != "ws_nbytes_limit":
            arguments[match[1]] = match[3] if match[2] is None else int(match[2])
    return arguments


def _spell(operator: Operator) -> dict[str, Any]:
    if isinstance(operator, Classifier):
        return _spell_fully_connected(operator)
    if isinstance(operator, Conv):
        return _spell_convolution(operator)
    assert isinstance(operator, GlobalPool | Pool)  # noqa: S101 (the others of `_KINDS`)
    return _spell_pooling(operator)


def _spell_convolution(operator: Conv) -> dict[str, Any]:
    is_int8 = operator.precision == "int8"
    if operator.activation not in (("none", "relu") if is_int8 else ("none",)):
        raise Unrepresentable("the format fuses relu only, and only into int8 convolutions")
    size, inputs, outputs = operator.input_size, operator.in_channels, operator.out_channels
    kernel, in_group = operator.kernel, operator.in_channels // operator.groups
    numbers = {"kernel": kernel, "pad": kernel // 2, "stride": operator.stride}
    if operator.groups > 1:
        numbers["group"] = operator.groups
    shapes = [[1, size, size, inputs], [outputs, kernel, kernel, in_group], [outputs]]
    name = "Conv" if operator.activation == "none" else "ConvRelu"
    return {
        "op_type": f"Int8{name}" if is_int8 else name,
        "op_args": _spell_arguments(numbers),
        "input_shapes": shapes,
        "input_dtypes": [_UINT8, _UINT8, _INT32] if is_int8 else [_FLOAT] * 3,
    }


def _spell_pooling(operator: GlobalPool | Pool) -> dict[str, Any]:
    if isinstance(operator, GlobalPool):
        numbers = {"global_pooling": 1}
    else:
        kernel, stride = operator.kernel, operator.stride
        pad = (kernel - 1) // 2
        numbers = {"kernel": kernel, "pad": pad, "stride": stride}
        if (operator.input_size + 2 * pad - kernel) // stride + 1 != operator.output_size:
            raise Unrepresentable("the format pads both sides alike")
        if kernel == operator.input_size and not pad:
            raise Unrepresentable("the format takes such a window for the whole image")
    name = "AveragePool" if operator.pooled == "average" else "MaxPool"
    is_int8 = operator.precision == "int8"
    return {
        "op_type": f"Int8{name}" if is_int8 else name,
        "op_args": _spell_arguments(numbers),
        "input_shapes": [[1, operator.input_size, operator.input_size, operator.in_channels]],
        "input_dtypes": [_UINT8 if is_int8 else _FLOAT],
    }


def _spell_arguments(numbers: dict[str, int]) -> list[str]:
    spelt = {name: f'name: "{name}"\ni: {value}\n' for name, value in numbers.items()}
    spelt["order"] = 'name: "order"\ns: "NHWC"\n'
    return [spelt[name] for name in sorted(spelt)]


def _spell_fully_connected(operator: Classifier) -> dict[str, Any]:
    if operator.input_size != 1:
        raise Unrepresentable("the format's fully connected layer does not pool")
    inputs, outputs = operator.in_channels, operator.out_channels
    is_int8 = operator.precision == "int8"
    return {
        "op_type": "Int8FC" if is_int8 else "FC",
        "op_args": [],
        "input_shapes": [[1, inputs], [outputs, inputs], [outputs]],
        "input_dtypes": [_UINT8, _UINT8, _INT32] if is_int8 else [_FLOAT] * 3,
    }


FORMAT = TableFormat(
    names_precision=True,
    names_device=True,
    names_target=False,
    has_header=False,
    read=read,
    write=write,
)
