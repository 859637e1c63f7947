"""FBNet's JSON records; the documents are made up, in the published format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netspec.equivalents import equivalents
from netspec.operators import (
    Classifier,
    Conv,
    GlobalPool,
    HeadConv,
    Operator,
    Pool,
    StemConv,
)
from profiler_server.latency_tables.published.formats import fbnet
from profiler_server.latency_tables.published.formats.table import (
    Price,
    TableToWrite,
    TableUnreadable,
)

STEM = Conv(input_size=224, in_channels=3, out_channels=32, stride=2, precision="int8")


def arguments(**numbers: int) -> list[str]:
    made = [f'name: "{name}"\ni: {value}\n' for name, value in numbers.items()]
    return sorted([*made, 'name: "order"\ns: "NHWC"\n'])


def record(**other: Any) -> dict[str, Any]:
    """The stem's record of 960 us, with other fields where given."""
    usual = {
        "op_type": "Int8ConvRelu",
        "op_args": arguments(kernel=3, pad=1, stride=2),
        "input_shapes": [[1, 224, 224, 3], [32, 3, 3, 3], [32]],
        "input_dtypes": [6, 6, 2],
        "runtime_us_p0": 900.0,
        "runtime_us_p10": 910.0,
        "runtime_us_p50": 960.0,
        "runtime_us_p90": 1000.0,
        "runtime_us_p100": 1200.0,
        "device": "SM-G950U-7.0-24",
    }
    return usual | other


def document(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


def test_a_record_in_us_is_a_price_in_ms() -> None:
    read = fbnet.read(document(record()), None)
    (price,) = read.prices
    assert price.operator == STEM
    assert (price.value_ms, price.low_ms, price.high_ms) == (0.96, 0.9, 1.2)
    assert read.device == "SM-G950U-7.0-24"


def test_a_record_is_true_of_every_kind_that_computes_it() -> None:
    stem = StemConv(**STEM.model_dump(exclude={"kind", "groups"}))
    assert equivalents(STEM) == (stem,)


def operator_of(**other: Any) -> Operator:
    read = fbnet.read(document(record(**other)), None)
    assert read.left_out == {}
    (price,) = read.prices
    return price.operator


def test_the_parts_of_a_block_are_read() -> None:
    depthwise = operator_of(
        op_args=arguments(kernel=5, pad=2, stride=2, group=96),
        input_shapes=[[1, 56, 56, 96], [96, 5, 5, 1], [96]],
    )
    assert depthwise == Conv(
        input_size=56,
        in_channels=96,
        out_channels=96,
        kernel=5,
        groups=96,
        stride=2,
        precision="int8",
    )
    linear = operator_of(
        op_type="Int8Conv",
        op_args=arguments(kernel=1, pad=0, stride=1),
        input_shapes=[[1, 28, 28, 96], [24, 1, 1, 96], [24]],
    )
    assert linear == Conv(
        input_size=28,
        in_channels=96,
        out_channels=24,
        kernel=1,
        activation="none",
        precision="int8",
    )


def test_float_convolutions_have_channels_first_unless_they_say_otherwise() -> None:
    expected = Conv(input_size=56, in_channels=96, out_channels=96, groups=96, activation="none")
    numbers = arguments(kernel=3, pad=1, stride=1, group=96)
    assert expected == operator_of(
        op_type="Conv",
        op_args=[one for one in numbers if "order" not in one],
        input_shapes=[[1, 96, 56, 56], [96, 1, 3, 3], [96]],
    )
    assert expected == operator_of(
        op_type="Conv",
        op_args=numbers,
        input_shapes=[[1, 56, 56, 96], [96, 3, 3, 1], [96]],
    )


def test_pooling_is_read() -> None:
    image = [[1, 7, 7, 320]]
    shape: dict[str, Any] = {
        "input_size": 7,
        "in_channels": 320,
        "out_channels": 320,
        "precision": "int8",
    }
    everything = GlobalPool(**shape)
    assert everything == operator_of(
        op_type="Int8AveragePool", op_args=arguments(global_pooling=1), input_shapes=image
    )
    assert everything == operator_of(
        op_type="Int8AveragePool", op_args=arguments(kernel=7, stride=1), input_shapes=image
    )
    window = operator_of(
        op_type="Int8MaxPool", op_args=arguments(kernel=3, pad=1, stride=2), input_shapes=image
    )
    assert window == Pool(**shape, pooled="max", kernel=3, stride=2)


def test_heads_and_classifiers_are_read() -> None:
    head = record(
        op_args=arguments(kernel=1, stride=1, ws_nbytes_limit=67108864),
        input_shapes=[[1, 7, 7, 320], [1280, 1, 1, 320], [1280]],
    )
    shapes = [[1, 1280], [1000, 1280], [1000]]
    full = [record(op_type=one, op_args=[], input_shapes=shapes) for one in ("FC", "Int8FC")]
    read = fbnet.read(document(head, *full), None)
    assert read.left_out == {}
    classifier = Classifier(input_size=1, in_channels=1280, out_channels=1000)
    assert [price.operator for price in read.prices] == [
        Conv(input_size=7, in_channels=320, out_channels=1280, kernel=1, precision="int8"),
        classifier,
        classifier.with_precision("int8"),
    ]
    assert HeadConv(
        input_size=7, in_channels=320, out_channels=1280, activation="relu", precision="int8"
    ) in equivalents(read.prices[0].operator)


def test_records_of_one_operator_are_averaged() -> None:
    read = fbnet.read(document(record(), record(runtime_us_p50=1040.0)), None)
    (price,) = read.prices
    assert (price.value_ms, price.count) == (1.0, 2)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"op_type": "Relu"}, "no operator of ours"),
        ({"op_type": "Int8AveragePool"}, "one image"),
        (
            {
                "op_type": "Int8MaxPool",
                "op_args": arguments(kernel=2, stride=1),
                "input_shapes": [[1, 8, 8, 8]],
            },
            "padding",
        ),
        ({"op_type": "NCHW2NHWC"}, "no operator of ours"),
        ({"input_shapes": [[1, 112, 112, 32], [32, 3, 3, 1], [32]]}, "groups"),
        ({"op_args": arguments(kernel=3, pad=1, group=3)}, "groups"),
        ({"op_args": ['name: "kernel"\ni: 3\n', 'name: "pad"\ni: 1\n']}, "NHWC"),
        ({"op_args": arguments(kernel=3, pad=0)}, "padding"),
        ({"op_args": arguments(kernel=3, pad=1, dilation=2)}, "dilated"),
        ({"op_args": arguments(kernel=3, pad=1, foo=1)}, "unknown arguments foo"),
        ({"op_args": ["kernel 3"]}, "name and number"),
        ({"op_args": arguments(kernel=3, pad=1, stride=3)}, "stride"),
        ({"input_shapes": [[2, 224, 224, 3], [32, 3, 3, 3], [32]]}, "one square image"),
        ({"input_shapes": [[1, 3], [32, 3, 3, 3], [32]]}, "axes"),
        ({"input_shapes": [[1, 224, 224, 3]]}, "input, weights and bias"),
        ({"op_type": "FC", "op_args": [], "input_shapes": [[2, 9], [8, 9], [8]]}, "one vector"),
        ({"op_type": "FC", "input_shapes": [[1, 9], [8, 9], [8]]}, "unknown arguments kernel"),
    ],
)
def test_what_is_no_operator_is_left_out_by_name(other: dict[str, Any], why: str) -> None:
    read = fbnet.read(document(record(**other)), None)
    assert read.prices == ()
    ((name, said),) = read.left_out.items()
    assert why in said
    assert name.startswith(f"{other.get('op_type', 'Int8ConvRelu')} with input [[")


def test_every_malformed_line_is_named_at_once() -> None:
    lacking = {name: value for name, value in record().items() if name != "runtime_us_p50"}
    text = document(record(), lacking, record(extra=1)) + "{\n" + "[" * 5_000 + "\n"
    with pytest.raises(TableUnreadable) as raised:
        fbnet.read(text, None)
    said = str(raised.value)
    assert said.startswith("4 lines are no records: line 2 (runtime_us_p50: ")
    assert all(f"line {number} (" in said for number in (3, 4, 5))
    assert "\n" not in said


def test_a_table_is_of_one_device() -> None:
    with pytest.raises(TableUnreadable, match=r"2 devices: SM-G950U-7\.0-24, other"):
        fbnet.read(document(record(), record(device="other")), None)


def test_an_empty_table_and_a_needless_precision_are_refused() -> None:
    with pytest.raises(TableUnreadable, match="empty"):
        fbnet.read("\n", None)
    with pytest.raises(TableUnreadable, match="leave --precision out"):
        fbnet.read(document(record()), "int8")


def test_what_was_imported_is_exported_as_it_was() -> None:
    read = fbnet.read(document(record()), None)
    written = fbnet.write(TableToWrite(read.prices, "SM-G950U-7.0-24"))
    assert json.loads(written.text) == record(runtime_us_p10=900.0, runtime_us_p90=1200.0)


def test_a_table_of_blocks_says_that_none_has_a_place() -> None:
    float_relu = Conv(input_size=7, in_channels=8, out_channels=8)
    written = fbnet.write(TableToWrite((Price(float_relu, 1, 1, 1, 1),), "phone"))
    assert written.text == ""
    assert "fuses relu" in written.left_out[float_relu.key]
