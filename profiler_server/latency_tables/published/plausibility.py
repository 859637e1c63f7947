"""Whether a table's latencies can be what they are said to be: ms, of these operators."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from netspec.console.units import latency_text
from netspec.operators import Operator
from profiler_server.latency_model.features import work
from profiler_server.latency_tables.published.formats.table import Price, first_of

#: multiply-accumulates and moved values in a ns, of a whole table: a microcontroller is below, a
#: data centre's accelerator above; units wrong by 1000 are outside wherever phones and computers
#: are inside
RATES = (0.3, 1000.0)
#: one operator may be so many times slower or faster for its work than the median of its table
_MOST_TIMES = 1000.0
#: and takes this long at least, whatever its work: a launch
_LAUNCH_MS = 1.0
#: two files of one device are so near to each other in what both have, and in their rates
_SAME_DEVICE = 1.25
_LIKE_RATES = 4.0


def rate(prices: Sequence[Price]) -> float | None:
    """The median of work in a ns; None where no latency is above 0."""
    rates = [_work(one.operator) / one.value_ms / 1e6 for one in prices if one.value_ms > 0]
    return statistics.median(rates) if rates else None


def doubts(prices: Sequence[Price]) -> list[str]:
    """What about a table's latencies is against the order of magnitude of the operators' work."""
    median = rate(prices)
    if median is None:
        return ["every latency is 0 ms"]
    least, most = RATES
    if not least <= median <= most:
        unit = "us" if median < least else "s"
        why = (
            f"its latencies mean {median:.3g} billion multiply-accumulates a second, and machines "
            f"do {least:g} to {most:g}: are they {unit}, not ms?"
        )
        return [why]
    odd = [
        f"{one.operator.key} ({latency_text(one.value_ms)})"
        for one in prices
        if _is_odd(one, median)
    ]
    why = (
        f"{len(odd)} latencies are over {_MOST_TIMES:g} times off what the table's others mean for "
        f"their work: {first_of(odd)}"
    )
    return [why] if odd else []


def _is_odd(price: Price, median: float) -> bool:
    usual_ms = _work(price.operator) / median / 1e6
    return not usual_ms / _MOST_TIMES <= price.value_ms <= usual_ms * _MOST_TIMES + _LAUNCH_MS


def disagreement(before: Sequence[Price], now: Sequence[Price]) -> str:
    """How prices of one target show that they are of two devices; empty where they do not.

    What both have must be alike; where they have nothing in common, at least their rates.
    """
    known = {one.operator.key: one.value_ms for one in before if one.value_ms > 0}
    shared = [
        (one.value_ms / known[one.operator.key], one.operator.key)
        for one in now
        if known.get(one.operator.key) and one.value_ms > 0
    ]
    if shared:
        ratio = statistics.median(ratio for ratio, _ in shared)
        if 1 / _SAME_DEVICE <= ratio <= _SAME_DEVICE:
            return ""
        worst = max(shared, key=lambda one: max(one[0], 1 / one[0]))
        return (
            f"of {len(shared)} operators that both have, the median takes {ratio:.2f} times as "
            f"long, {worst[1]} {worst[0]:.2f} times"
        )
    rates = rate(before), rate(now)
    if rates[0] is None or rates[1] is None:
        return ""
    times = rates[1] / rates[0]
    if 1 / _LIKE_RATES <= times <= _LIKE_RATES:
        return ""
    return f"it has no operator in common, and does {times:.2g} times as much work in a ms"


def _work(operator: Operator) -> float:
    does = work(operator)
    return float(does.macs + does.activations)
