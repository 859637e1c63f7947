"""FBNet's JSON records; the documents are made up, in the published format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netspec.operators import Classifier, HeadConv, StemConv
from profiler_server.latency_tables.published.formats import fbnet
from profiler_server.latency_tables.published.formats.table import TableUnreadable

STEM = StemConv(
    input_size=224, in_channels=3, out_channels=32, stride=2, activation="relu", precision="int8"
)


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
        HeadConv(
            input_size=7, in_channels=320, out_channels=1280, activation="relu", precision="int8"
        ),
        classifier,
        classifier.with_precision("int8"),
    ]


def test_records_of_one_operator_are_averaged() -> None:
    read = fbnet.read(document(record(), record(runtime_us_p50=1040.0)), None)
    (price,) = read.prices
    assert (price.value_ms, price.count) == (1.0, 2)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"op_type": "Int8Conv"}, "without activation"),
        ({"op_type": "Conv"}, "without activation"),
        ({"op_type": "NCHW2NHWC"}, "no operator of ours"),
        ({"input_shapes": [[1, 112, 112, 32], [32, 3, 3, 1], [32]]}, "grouped"),
        ({"op_args": arguments(kernel=3, pad=1, group=3)}, "grouped"),
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
    written = fbnet.write(read.prices, "SM-G950U-7.0-24")
    assert json.loads(written.text) == record(runtime_us_p10=900.0, runtime_us_p90=1200.0)
