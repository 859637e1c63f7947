"""Units, single values and devices that cannot be as they are said to be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.costs import macs
from netspec.networks import mobilenet_v2
from profiler_server.latency_tables.published.formats.table import Price
from profiler_server.latency_tables.published.plausibility import RATES, disagreement, doubts

OPERATORS = tuple(dict.fromkeys(mobilenet_v2(224).operators))


def table(rate: float, launch_ms: float = 0.0) -> list[Price]:
    """A machine that does `rate` multiply-accumulates a ns, and launches in `launch_ms`."""
    values = (macs(one) / rate / 1e6 + launch_ms for one in OPERATORS)
    return [Price(one, ms, ms, ms, 1) for one, ms in zip(OPERATORS, values, strict=True)]


@given(st.floats(2, 150), st.floats(0, 0.1))
@settings(max_examples=40, deadline=None)
def test_machines_as_they_are_are_believed_and_units_off_by_1000_are_not(
    rate: float, launch_ms: float
) -> None:
    right = table(rate, launch_ms)
    assert doubts(right) == []
    for times, unit in ((1000.0, "us"), (0.001, "s")):
        wrong = [Price(one.operator, one.value_ms * times, 0, 0, 1) for one in right]
        # What launches take counts for less work than a machine could do.
        if times > 1 or launch_ms == 0:
            (why,) = doubts(wrong)
            assert f"are they {unit}, not ms?" in why


@pytest.mark.parametrize("value", [0.0, 1e9, 1e-7])
def test_single_values_are_named(value: float) -> None:
    prices = table(20.0)
    prices[3] = Price(prices[3].operator, value, value, value, 1)
    (why,) = doubts(prices)
    assert why.startswith("1 latencies are over 1000 times off")
    assert prices[3].operator.key in why


def test_a_table_of_zeros_says_so() -> None:
    assert doubts([Price(one, 0, 0, 0, 1) for one in OPERATORS]) == ["every latency is 0 ms"]
    assert RATES[0] < 1 < RATES[1]


def test_two_devices_are_told_apart_by_what_both_have() -> None:
    assert disagreement(table(20.0), table(18.0)) == ""
    assert "the median takes 2.00 times as long" in disagreement(table(20.0), table(10.0))
    half = len(OPERATORS) // 2
    first, second = table(20.0)[:half], table(20.0)[half:]
    assert disagreement(first, second) == ""
    assert "no operator in common" in disagreement(first, table(600.0)[half:])
    assert disagreement([], first) == ""
