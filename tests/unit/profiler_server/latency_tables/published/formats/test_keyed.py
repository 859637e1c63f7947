"""ProxylessNAS's and Once-for-all's YAML; the documents are made up, in the published formats."""

from __future__ import annotations

import math

import pytest

from netspec.operators import Classifier, HeadConv, MBConv, Operator, Precision, StemConv
from profiler_server.latency_tables.published.formats import keyed, ofa, proxylessnas, table
from profiler_server.latency_tables.published.formats.table import Price, ReadTable, TableUnreadable

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
Logits-input:1x1x1280-output:1000: {count: 25, mean: 0.125, std: 0.0}
"""
BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=3, residual=True)


def proxyless(key: str) -> ReadTable:
    return proxylessnas.FORMAT.read(f"{key}: {{count: 1, mean: 1.0, var: 0.0}}", "float32")


def once_for_all(key: str) -> ReadTable:
    return ofa.FORMAT.read(f"{key}: {{count: 1, mean: 1.0, std: 0.0}}", "float32")


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


def test_expand_is_the_middle_channels_in_once_for_all() -> None:
    read = ofa.FORMAT.read(OFA, "float32")
    assert read.left_out == {}
    blocks = [one.operator for one in read.prices if isinstance(one.operator, MBConv)]
    assert [(one.expand, one.middle_channels) for one in blocks] == [(3, 72), (6, 144)]
    assert {one.activation for one in blocks} == {"relu"}
    key = "expanded_conv-input:56x56x24-output:56x56x24-expand:72-kernel:5-stride:1-idskip:1"
    assert "expand" in proxyless(key).left_out[key]
    odd = f"{key.replace(':72', ':73')}-se:0-hs:0"
    assert "whole multiple" in once_for_all(odd).left_out[odd]


def test_conv_1_is_the_head_in_proxylessnas_only() -> None:
    key = "Conv_1-input:7x7x320-output:7x7x1280"
    head = HeadConv(input_size=7, in_channels=320, out_channels=1280)
    assert list(values(proxyless(key))) == [head]
    assert "final expansion" in once_for_all(key).left_out[key]


def test_logits_pools_in_proxylessnas_only() -> None:
    pooled, unpooled = (f"Logits-input:{n}x{n}x1280-output:1000" for n in (7, 1))
    seven = Classifier(input_size=7, in_channels=1280, out_channels=1000)
    one = Classifier(input_size=1, in_channels=1280, out_channels=1000)
    assert list(values(proxyless(pooled))) == [seven]
    assert "does not pool" in once_for_all(pooled).left_out[pooled]
    assert list(values(once_for_all(unpooled))) == [one]
    assert "does not pool" in ofa.FORMAT.write((Price(seven, 1, 1, 1, 1),), "").left_out[seven.key]


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
    written = proxylessnas.FORMAT.write((Price(block, 1.0, 1.0, 1.0, 1),), "")
    assert "round odd sides down" in written.left_out[block.key]
    relu = MBConv(**{**block.model_dump(), "activation": "relu"})
    text = ofa.FORMAT.write((Price(relu, 1.0, 1.0, 1.0, 1),), "").text
    assert "input:7x7x96-output:4x4x192-expand:288" in text


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("Conv-input:224x224x3-output:112x112x16", "hard swish"),
        ("AvgPool2D-input:7x7x960-output:1x1x960", "pooling alone"),
        ("Conv_2-input:1x1x960-output:1x1x1280", "hard swish"),
        ("Foo-input:1x1x960-output:1x1x1280", "not a layer"),
    ],
)
def test_layers_of_mobilenet_v3_alone_are_no_operators(key: str, why: str) -> None:
    assert why in once_for_all(key).left_out[key]


@pytest.mark.parametrize(
    ("options", "why"),
    [("se:1-hs:0", "squeeze"), ("se:0-hs:1", "hard swish"), ("se:0", "expected")],
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
        written = format_.write(format_.read(text, precision).prices, "")
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
    assert list(proxylessnas.FORMAT.write(prices, "").left_out) == [relu.key]
    assert list(ofa.FORMAT.write(prices, "").left_out) == [BLOCK.key]
