"""ProxylessNAS's and Once-for-all's YAML; the documents are made up, in the published formats."""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec.operators import (
    Bottleneck,
    Classifier,
    FeatureMix,
    GlobalPool,
    HeadConv,
    MBConv,
    Operator,
    Precision,
    StemConv,
)
from profiler_server.latency_tables.published.formats import keyed, ofa, proxylessnas, table
from profiler_server.latency_tables.published.formats.table import (
    Price,
    ReadTable,
    TableFormat,
    TableToWrite,
    TableUnreadable,
    WrittenTable,
)

PROXYLESS = """\
Conv-input:224x224x3-output:112x112x32: {count: 100, mean: 4.0, var: 0.25}
Conv_1-input:7x7x320-output:7x7x1280: {count: 4, mean: 2.5, var: 0.0}
Logits-input:7x7x1280-output:1000: {count: 982, mean: 0.75, var: 0.01}
expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0:
  count: 9
  mean: 3.25
  var: 0.04
expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:3-stride:1-idskip:1:
  count: 9
  mean: 3
  var: 0
"""
OFA = """\
expanded_conv-input:56x56x24-output:56x56x24-expand:72-kernel:5-stride:1-idskip:1-se:0-hs:0:
  {count: 25, mean: 1.5, std: 0.5}
expanded_conv-input:7x7x24-output:4x4x40-expand:144-kernel:3-stride:2-idskip:0-se:0-hs:0:
  {count: 25, mean: 0.5, std: 0.0}
expanded_conv-input:10x10x136-output:5x5x192-expand:408-kernel:7-stride:2-idskip:0-se:1-hs:1:
  {count: 25, mean: 0.75, std: 0.0}
expanded_conv-input:14x14x80-output:14x14x80-expand:184-kernel:3-stride:1-idskip:1-se:0-hs:1:
  {count: 25, mean: 0.25, std: 0.0}
Conv-input:160x160x3-output:80x80x24: {count: 25, mean: 0.5, std: 0.0}
Conv_1-input:5x5x192-output:5x5x1152: {count: 25, mean: 0.45, std: 0.0}
AvgPool2D-input:5x5x1152-output:1x1x1152: {count: 25, mean: 0.01, std: 0.0}
Conv_2-input:1x1x1152-output:1x1x1536: {count: 25, mean: 0.75, std: 0.0}
Logits-input:1x1x1536-output:1000: {count: 25, mean: 0.125, std: 0.0}
"""
BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=3, residual=True)


def proxyless(key: str) -> ReadTable:
    return proxylessnas.FORMAT.read(f"{key}: {{count: 1, mean: 1.0, var: 0.0}}", "float32")


def once_for_all(key: str) -> ReadTable:
    return ofa.FORMAT.read(f"{key}: {{count: 1, mean: 1.0, std: 0.0}}", "float32")


def write(format_: TableFormat, prices: tuple[Price, ...], header: str = "") -> WrittenTable:
    assert format_.write is not None
    return format_.write(TableToWrite(prices, "", header))


def values(read: ReadTable) -> dict[Operator, float]:
    return {price.operator: price.value_ms for price in read.prices}


def test_a_proxylessnas_table_is_read_in_ms() -> None:
    read = proxylessnas.FORMAT.read(PROXYLESS, "float32")
    assert read.left_out == {}
    assert values(read) == {
        StemConv(input_size=224, in_channels=3, out_channels=32, stride=2): 4.0,
        HeadConv(input_size=7, in_channels=320, out_channels=1280): 2.5,
        Classifier(input_size=7, in_channels=1280, out_channels=1000): 0.75,
        MBConv(input_size=112, in_channels=16, out_channels=24, kernel=5, expand=3, stride=2): 3.25,
        MBConv(input_size=56, in_channels=24, out_channels=24, expand=6, residual=True): 3.0,
    }


def test_the_interval_is_that_of_the_mean() -> None:
    # standard deviation 0.5 ms, 100 runs: the mean's standard error is 0.05 ms
    first = proxylessnas.FORMAT.read(PROXYLESS, "float32").prices[0]
    assert first.count == 100
    assert first.low_ms == pytest.approx(4.0 - 1.96 * 0.05, abs=1e-5)
    assert first.high_ms == pytest.approx(4.0 + 1.96 * 0.05, abs=1e-5)
    # 0.5 ms, 25 runs: 0.1 ms
    block = ofa.FORMAT.read(OFA, "float32").prices[0]
    assert block.high_ms == pytest.approx(1.5 + 1.96 * 0.1, abs=1e-5)


def test_the_precision_is_the_one_that_is_said() -> None:
    for precision in ("float32", "int8"):
        read = proxylessnas.FORMAT.read(PROXYLESS, precision)
        assert {price.operator.precision for price in read.prices} == {precision}
    for format_ in (proxylessnas.FORMAT, ofa.FORMAT):
        with pytest.raises(TableUnreadable, match="--precision"):
            format_.read(PROXYLESS, None)


def test_every_row_of_a_once_for_all_table_is_an_operator() -> None:
    read = ofa.FORMAT.read(OFA, "int8")
    assert read.left_out == {}
    fields: dict[str, Any] = {"precision": "int8"}
    assert [price.operator for price in read.prices] == [
        Bottleneck(
            input_size=56,
            in_channels=24,
            out_channels=24,
            kernel=5,
            middle=72,
            residual=True,
            activation="relu",
            **fields,
        ),
        Bottleneck(
            input_size=7,
            in_channels=24,
            out_channels=40,
            middle=144,
            stride=2,
            activation="relu",
            **fields,
        ),
        # A quarter of 408 is 102: squeezed in whole eights to 104.
        Bottleneck(
            input_size=10,
            in_channels=136,
            out_channels=192,
            kernel=7,
            middle=408,
            squeeze=104,
            stride=2,
            **fields,
        ),
        # 184 is no multiple of 80.
        Bottleneck(
            input_size=14, in_channels=80, out_channels=80, middle=184, residual=True, **fields
        ),
        StemConv(
            input_size=160,
            in_channels=3,
            out_channels=24,
            stride=2,
            activation="hard_swish",
            **fields,
        ),
        HeadConv(
            input_size=5, in_channels=192, out_channels=1152, activation="hard_swish", **fields
        ),
        GlobalPool(input_size=5, in_channels=1152, out_channels=1152, **fields),
        FeatureMix(input_size=1, in_channels=1152, out_channels=1536, **fields),
        Classifier(input_size=1, in_channels=1536, out_channels=1000, **fields),
    ]


def test_expand_is_the_middle_channels_in_once_for_all() -> None:
    key = "expanded_conv-input:56x56x24-output:56x56x24-expand:72-kernel:5-stride:1-idskip:1"
    assert "expand" in proxyless(key).left_out[key]
    (block,) = values(once_for_all(f"{key}-se:0-hs:0"))
    assert block == Bottleneck(
        input_size=56,
        in_channels=24,
        out_channels=24,
        kernel=5,
        middle=72,
        residual=True,
        activation="relu",
    )


def test_conv_1_is_the_feature_mix_in_one_and_the_expansion_in_the_other() -> None:
    key = "Conv_1-input:7x7x320-output:7x7x1280"
    head = HeadConv(input_size=7, in_channels=320, out_channels=1280)
    assert list(values(proxyless(key))) == [head]
    expansion = head.model_copy(update={"activation": "hard_swish"})
    assert list(values(once_for_all(key))) == [expansion]


def test_logits_pools_in_proxylessnas_only() -> None:
    pooled, unpooled = (f"Logits-input:{n}x{n}x1280-output:1000" for n in (7, 1))
    seven = Classifier(input_size=7, in_channels=1280, out_channels=1000)
    one = Classifier(input_size=1, in_channels=1280, out_channels=1000)
    assert list(values(proxyless(pooled))) == [seven]
    assert "does not pool" in once_for_all(pooled).left_out[pooled]
    assert list(values(once_for_all(unpooled))) == [one]
    written = write(ofa.FORMAT, (Price(seven, 1, 1, 1, 1),))
    assert "does not pool" in written.left_out[seven.key]


def test_odd_sides_are_rounded_up() -> None:
    up, down = (
        f"expanded_conv-input:7x7x96-output:{n}x{n}x192-expand:3-kernel:3-stride:2-idskip:0"
        for n in (4, 3)
    )
    (block,) = values(proxyless(up))
    assert block.output_size == 4
    assert "rounded up" in proxyless(down).left_out[down]
    key = f"{down.replace('expand:3', 'expand:288')}-se:0-hs:0"
    assert "rounded up" in once_for_all(key).left_out[key]
    # A reader of the format would ask for the key that is rounded down.
    written = write(proxylessnas.FORMAT, (Price(block, 1.0, 1.0, 1.0, 1),))
    assert "round odd sides down" in written.left_out[block.key]
    relu = MBConv(**{**block.model_dump(), "activation": "relu"})
    text = write(ofa.FORMAT, (Price(relu, 1.0, 1.0, 1.0, 1),)).text
    assert "input:7x7x96-output:4x4x192-expand:288" in text


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("Conv-input:224x224x3-output:224x224x16", "rounded up"),
        ("AvgPool2D-input:7x7x960-output:1x1x480", "channels"),
        ("AvgPool2D-input:7x7x960-output:2x2x960", "output's side"),
        ("Conv_2-input:7x7x960-output:7x7x1280", "does not pool"),
        ("Foo-input:1x1x960-output:1x1x1280", "not a layer"),
    ],
)
def test_layers_that_mobilenet_v3_has_not_are_no_operators(key: str, why: str) -> None:
    assert why in once_for_all(key).left_out[key]


@pytest.mark.parametrize(
    ("options", "why"),
    [("se:2-hs:0", "0 or 1"), ("se:0-hs:3", "0 or 1"), ("se:0", "expected")],
)
def test_blocks_that_are_not_ours_are_left_out(options: str, why: str) -> None:
    shapes = "input:56x56x24-output:56x56x24"
    key = f"expanded_conv-{shapes}-expand:72-kernel:3-stride:1-idskip:1-{options}"
    assert why in once_for_all(key).left_out[key]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("Conv-input:224x200x3-output:112x112x32", "not square"),
        ("Conv-input:0224x224x3-output:112x112x32", "not a key"),
        ("Conv-input:224x224x3-output:224x224x32", "rounded up"),
        ("Conv-input:224x224x3-output:112x112x32-stride:2", "expected the options none"),
        ("Conv-input:224x224x3-output:1000", "rounded up"),
        ("Logits-input:7x7x1280-output:1x1x1000", "not a layer"),
        ("expanded_conv-input:56x56x24-output:56x56x24", "got none"),
        ("expanded_conv-input:8x8x4-output:8x8x8-expand:3-kernel:3-stride:1-idskip:1", "residual"),
        ("expanded_conv-input:8x8x4-output:8x8x4-expand:3-kernel:4-stride:1-idskip:0", "kernel"),
        ("expanded_conv-input:8x8x4-output:8x8x4-kernel:3-kernel:3", "twice"),
        ("12", "not a key"),
    ],
)
def test_a_strange_key_is_left_out_by_name(key: str, why: str) -> None:
    read = proxyless(key)
    assert read.prices == ()
    assert why in read.left_out[key]


def test_every_malformed_record_is_named_at_once() -> None:
    text = """\
a: {count: 1, mean: 1.0}
b: {count: 1, mean: -1.0, var: 0.0}
c: {count: 1, mean: .nan, var: 0.0}
d: 3
e: {count: 1, mean: 1.0, var: 0.0, std: 0.0}
"""
    with pytest.raises(TableUnreadable) as raised:
        proxylessnas.FORMAT.read(text, "float32")
    said = str(raised.value)
    assert said.startswith("5 records are not {count, mean, var}")
    assert all(f"{name} (" in said for name in "abcde")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mapping"),
        ("- 1", "mapping"),
        ("a: [", "no YAML"),
        ("[" * 5_000, "no YAML"),
        ("a: !!python/object/apply:os.getcwd []", "no YAML"),
        ("a: 1\na: 2", "twice: a"),
        ("a: 2001-99-99", "no YAML"),
    ],
)
def test_a_document_that_is_no_table_is_refused(text: str, said: str) -> None:
    with pytest.raises(TableUnreadable, match=said) as raised:
        proxylessnas.FORMAT.read(text, "float32")
    assert "\n" not in str(raised.value)


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_BYTES", len(PROXYLESS) - 1)
    with pytest.raises(TableUnreadable, match="larger"):
        proxylessnas.FORMAT.read(PROXYLESS, "float32")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_was_imported_is_exported_as_it_was(precision: Precision) -> None:
    for format_, text, spread in (
        (proxylessnas.FORMAT, PROXYLESS, "var"),
        (ofa.FORMAT, OFA, "std"),
    ):
        written = write(format_, format_.read(text, precision).prices)
        assert written.left_out == {}
        before, after = keyed._load(text), keyed._load(written.text)
        assert list(before) == list(after)
        for key, record in before.items():
            assert after[key]["count"] == record["count"]
            assert after[key]["mean"] == record["mean"]
            assert math.isclose(after[key][spread], record[spread], abs_tol=1e-12)


def test_what_a_format_has_no_place_for_is_listed() -> None:
    relu = MBConv(**{**BLOCK.model_dump(), "activation": "relu"})
    prices = tuple(Price(one, 1.0, 1.0, 1.0, 3) for one in (BLOCK, relu))
    assert list(write(proxylessnas.FORMAT, prices).left_out) == [relu.key]
    assert list(write(ofa.FORMAT, prices).left_out) == [BLOCK.key]


def test_operators_of_other_kinds_are_written_as_what_they_compute() -> None:
    twin = Bottleneck(
        input_size=56,
        in_channels=24,
        out_channels=24,
        kernel=5,
        middle=72,
        residual=True,
        activation="relu6",
    )
    both = (Price(BLOCK, 1.0, 1.0, 1.0, 3), Price(twin, 1.0, 1.0, 1.0, 3))
    written = write(proxylessnas.FORMAT, both)
    assert written.left_out == {}
    assert list(values(proxylessnas.FORMAT.read(written.text, "float32"))) == [BLOCK]
    other = (both[0], Price(twin, 2.0, 2.0, 2.0, 3))
    assert list(write(proxylessnas.FORMAT, other).left_out) == [twin.key]


def test_squeeze_and_excitation_of_another_width_is_left_out() -> None:
    shape: dict[str, Any] = {"input_size": 10, "in_channels": 136, "out_channels": 192}
    narrow = Bottleneck(**shape, middle=408, squeeze=34)
    sigmoid = Bottleneck(**shape, middle=408, squeeze=104, gate="sigmoid")
    left_out = write(
        ofa.FORMAT, tuple(Price(one, 1, 1, 1, 1) for one in (narrow, sigmoid))
    ).left_out
    assert set(left_out) == {narrow.key, sigmoid.key}
    assert all("a quarter" in why for why in left_out.values())


def test_a_header_is_a_comment() -> None:
    text = write(proxylessnas.FORMAT, (Price(BLOCK, 1.0, 1.0, 1.0, 3),), "calibrated").text
    assert text.startswith("# calibrated\n")
    assert list(values(proxylessnas.FORMAT.read(text, "float32"))) == [BLOCK]


def test_the_first_ten_of_many_are_named() -> None:
    text = "".join(f"key{number:03d}: {{count: 0}}\n" for number in range(500))
    with pytest.raises(TableUnreadable) as raised:
        proxylessnas.FORMAT.read(text, "float32")
    said = str(raised.value)
    assert said.startswith("500 records are not {count, mean, var}: key000 (")
    assert said.endswith("and 490 more")
    assert len(said) < 1_000
    strange = {f"{'x' * 300}{number:03d}": ("odd", "other")[number % 2] for number in range(500)}
    said = table.listing(strange)
    assert said.startswith("odd: xxx")
    assert said.endswith("and 240 more; and 250 more for other reasons")
    assert len(said) < 2_000
