"""CSV and JSON lines of anybody's latencies."""

from __future__ import annotations

import pytest

from netspec.operators import Bottleneck, MBConv
from profiler_server.latency_tables.published.formats.neutral import CSV, JSONL
from profiler_server.latency_tables.published.formats.table import ReadTable, TableUnreadable

BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=6, residual=True)
FIELDS = "kind,input_size,in_channels,out_channels,kernel,expand,residual"
BY_FIELDS = f"{FIELDS},ms\nmbconv,56,24,24,5,6,true,3.5\n"
BY_KEY = f"key,ms\n{BLOCK.key},3.5\n"


def csv(text: str, precision: str | None = None) -> ReadTable:
    return CSV.read(text, precision)  # type: ignore[arg-type]


def test_an_operator_is_its_key_or_its_fields() -> None:
    for read in (csv(BY_KEY), csv(BY_KEY, "float32"), csv(BY_FIELDS, "float32")):
        assert read.left_out == {}
        (price,) = read.prices
        assert price.operator == BLOCK
        assert (price.value_ms, price.low_ms, price.high_ms, price.count) == (3.5, 3.5, 3.5, 1)


def test_json_lines_have_the_same_fields() -> None:
    text = (
        '{"header": "for people"}\n\n'
        '{"kind": "bottleneck", "input_size": 7, "in_channels": 96, "out_channels": 96, '
        '"middle": 100, "residual": true, "ms": 0.5, "count": 4, "std_ms": 0.1, '
        '"precision": "int8"}\n'
    )
    (price,) = JSONL.read(text, None).prices
    assert price.operator == Bottleneck(
        input_size=7, in_channels=96, out_channels=96, middle=100, residual=True, precision="int8"
    )
    assert price.count == 4
    assert price.high_ms == pytest.approx(0.5 + 1.96 * 0.1 / 2, abs=1e-4)


def test_a_spread_is_a_deviation_or_an_interval() -> None:
    (price,) = csv(f"key,ms,low_ms,high_ms,count\n{BLOCK.key},3.5,3,4,9\n").prices
    assert (price.low_ms, price.high_ms, price.count) == (3.0, 4.0, 9)
    for spread in ("low_ms\n3", "low_ms,high_ms\n4,5", "low_ms,high_ms,std_ms\n3,4,1"):
        names, values = spread.split("\n")
        read = csv(f"key,ms,{names}\n{BLOCK.key},3.5,{values}\n")
        assert read.left_out == {"line 2": "give std_ms, or low_ms and high_ms around ms"}


def test_a_precision_that_the_file_does_not_have_is_refused() -> None:
    with pytest.raises(TableUnreadable, match=r"line 2 \(float32, not int8; leave --precision out"):
        csv(BY_KEY, "int8")
    with pytest.raises(TableUnreadable, match=r"line 2 \(no precision; give a column"):
        csv(BY_FIELDS)
    with pytest.raises(TableUnreadable, match="precision int8, but the key says float32"):
        csv(f"key,ms,precision\n{BLOCK.key},1,int8\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("key,ms\n", "empty"),
        (f"key,kay,ms\n{BLOCK.key},1,1\n", "there is no column 'kay'; did you mean 'key'"),
        (f"key,ms,ms\n{BLOCK.key},1,1\n", "names a column twice"),
        (f"key,ms\n{BLOCK.key},1,1\n", "line 2 has not 2 cells"),
        (f"key,ms\n{BLOCK.key}\n", "line 2 has not 2 cells"),
        (f'key,ms\n"{BLOCK.key},1\n', "is no CSV"),
        (f"key,ms\n{BLOCK.key},-1\n", r"line 2 \(ms: "),
        (f"key,ms\n{BLOCK.key},nan\n", r"line 2 \(ms: "),
        (f"key,ms\n{BLOCK.key},\n", r"line 2 \(ms: is missing"),
        (f"key,ms,count\n{BLOCK.key},1,0\n", r"line 2 \(count: "),
        (f"key,ms\n{BLOCK.key},1\n{BLOCK.key},2\n", "given twice: mbconv-in:56x56x24"),
    ],
)
def test_what_is_no_such_table_is_refused(text: str, why: str) -> None:
    with pytest.raises(TableUnreadable, match=why) as raised:
        csv(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[1]", "3", "[" * 5_000])
def test_json_lines_are_objects(text: str) -> None:
    with pytest.raises(TableUnreadable, match="line 1 is no JSON"):
        JSONL.read(text, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("key,ms\nconv2d,1\n", "is not an operator key"),
        (f"key,kind,ms\n{BLOCK.key},mbconv,1\n", "either `key`, or an operator's fields"),
        (f"{FIELDS},ms\nmbconv,56,24,24,4,6,true,3.5\n", "kernel"),
        (f"{FIELDS},ms\nmbcon,56,24,24,5,6,true,3.5\n", "did you mean 'mbconv'"),
    ],
)
def test_what_is_no_operator_is_left_out_by_its_line(text: str, why: str) -> None:
    read = csv(text, None if "key" in text else "float32")
    assert read.prices == ()
    assert why in read.left_out["line 2"]


def test_comments_before_the_header_are_for_people() -> None:
    assert csv("# measured in a lab\n# twice\n" + BY_KEY).prices == csv(BY_KEY).prices
    with pytest.raises(TableUnreadable, match=r"line 4 \(ms"):
        csv(f"# a\n# b\nkey,ms\n{BLOCK.key},x\n")
