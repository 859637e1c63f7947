"""Every format, written and read again."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netspec.equivalents import equivalents
from netspec.operators import (
    Bottleneck,
    Classifier,
    GlobalPool,
    HeadConv,
    MBConv,
    Operator,
    Precision,
    StemConv,
)
from profiler_server.latency_tables.published.formats import FORMATS
from profiler_server.latency_tables.published.formats.table import Price, TableToWrite
from profiler_server.latency_tables.published.names import FormatName
from tests.unit.netspec.strategies import PRECISION, operators

STEM = StemConv(input_size=32, in_channels=3, out_channels=8, stride=2)
BLOCK = MBConv(input_size=32, in_channels=3, out_channels=8, expand=3, activation="relu")
SQUEEZED = Bottleneck(input_size=32, in_channels=3, out_channels=8, middle=20, squeeze=8)
HEAD = HeadConv(input_size=7, in_channels=3, out_channels=8, activation="relu", precision="int8")
POOL = GlobalPool(input_size=7, in_channels=8, out_channels=8)
#: 262,144 middle channels, the most there can be
WIDE = MBConv(input_size=1, in_channels=16384, out_channels=8, expand=16, activation="relu")
CLASSIFIER = Classifier(input_size=1, in_channels=3, out_channels=8)

WRITTEN = [name for name, one in FORMATS.items() if one.write is not None]


def test_every_format_has_its_name() -> None:
    assert set(FORMATS) == set(get_args(FormatName))


def computation(operator: Operator) -> str:
    """The same for operators of kinds that compute the same."""
    return min(one.key for one in (operator, *equivalents(operator)))


@pytest.mark.parametrize("name", WRITTEN)
@given(
    priced=st.dictionaries(operators(), st.floats(0, 1e6), max_size=8),
    count=st.integers(1, 1000),
    precision=PRECISION,
    header=st.sampled_from(["", "for people: 1, 2"]),
)
@example(
    priced={STEM: 1.1, BLOCK: 2.3, HEAD: 0.7, SQUEEZED: 3.0, POOL: 0.1, CLASSIFIER: 0.1},
    count=3,
    precision="int8",
    header="",
)
@example(priced={WIDE: 1.0}, count=3, precision="int8", header="")
@settings(max_examples=40, deadline=None)
def test_export_then_import_gives_the_same_operators_and_values(
    name: FormatName,
    priced: dict[Operator, float],
    count: int,
    precision: Precision,
    header: str,
) -> None:
    format_ = FORMATS[name]
    known = None if format_.names_precision else precision
    prices = {one if known is None else one.with_precision(known): ms for one, ms in priced.items()}
    assert format_.write is not None
    written = format_.write(
        TableToWrite(
            tuple(Price(one, ms, ms * 0.9, ms * 1.1, count) for one, ms in prices.items()),
            "phone",
            header if format_.has_header else "",
        )
    )
    kept = {computation(one): ms for one, ms in prices.items() if one.key not in written.left_out}
    if not kept:
        assert len(written.left_out) == len(prices)
        return
    read = format_.read(written.text, known)
    assert read.left_out == {}
    found = {computation(price.operator): price.value_ms for price in read.prices}
    assert found == pytest.approx(kept)
    high = {computation(price.operator): price.high_ms for price in read.prices}
    assert high == pytest.approx({one: ms * 1.1 for one, ms in kept.items()})
