"""How well a table of some networks' operators predicts `.tflite` files that others converted.

The table holds the operators and the single layers of networks that come with this package, at
other sizes and widths than the files have; the calibration is fitted on these networks, as their
operators and as their layers. No file takes part in it. Entries are of operators and layers alone,
or, on demand, merged with what these take inside the networks, as the server merges them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.operators_on_host.visits import Host
from netspec.grouping import Grouping, Knowledge, grouping, tiling
from netspec.networks import SHIPPED_NETWORKS, Network
from netspec.operators import PRECISIONS, Operator, Precision
from netspec.prediction_error import FAIR_PERCENT, NEAR_PERCENT
from netspec.tflite import encode, network_of_file, read_network
from netspec.wire import NetworkSubject, OperatorSubject
from profiler_server.latency_model.design import MeasuredNetwork, Priced, design
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.in_network import Profiled, in_network_estimates
from profiler_server.latency_model.merging import merge
from profiler_server.latency_model.predictor import OperatorModel
from profiler_server.latency_model.selection import calibrate

#: networks that the table is made of
LEARNED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("proxylessnas_mobile", {}),
    ("proxylessnas_cpu", {}),
    ("proxylessnas_gpu", {}),
    ("mnasnet_a1", {}),
    ("mobilenet_v1", {"input_size": 192}),
    ("mobilenet_v1", {"input_size": 160, "width": 0.5}),
    ("mobilenet_v2", {"input_size": 192, "width": 0.75}),
    ("mobilenet_v2", {"input_size": 160}),
    ("efficientnet_lite0", {"input_size": 192}),
    ("mobilenet_v4_conv_small", {"input_size": 192}),
    ("mobilenet_v3_large", {}),
)
#: visits of each network with a profile
PROFILES = 4
#: visits at most, where the time allows
OPERATOR_VISITS = 10
NETWORK_VISITS = 30


@dataclass(frozen=True)
class Learned:
    """A network of the table."""

    network: Network
    #: its layers, as single operators
    layers: tuple[Operator, ...]


@dataclass(frozen=True)
class Compared:
    """One file, predicted and measured."""

    name: str
    precision: Precision
    predicted_ms: float
    measured_ms: float
    #: of the sum of entries, 0 to 1
    predicted_share: float

    @property
    def error_percent(self) -> float:
        """Of the prediction."""
        return 100 * (self.predicted_ms / self.measured_ms - 1)


def compare(
    host: Host, files: Sequence[Path], limit_s: float, console: Console, *, profiles: bool
) -> list[Compared]:
    """Measure, predict and print.

    Args:
        host: to measure on.
        files: named `NAME.PRECISION.tflite`.
        limit_s: for everything.
        console: for the table.
        profiles: whether entries are merged with what is seen inside the networks.
    """
    learned = {precision: _learned(precision) for precision in PRECISIONS}
    wanted: dict[str, int] = {}
    for networks in learned.values():
        for one in networks:
            operators = [*one.network.operators, *one.layers]
            wanted |= dict.fromkeys(_names(host, operators), OPERATOR_VISITS)
            wanted |= dict.fromkeys(host.add([NetworkSubject(network=one.network)]), NETWORK_VISITS)
    for file in files:
        host.add_file(file.name, file)
        wanted[file.name] = NETWORK_VISITS
    host.visit(wanted, limit_s)
    found = [
        one
        for precision in PRECISIONS
        for one in _compared(
            host,
            precision,
            learned[precision],
            [file for file in files if f".{precision}." in file.name],
            console,
            profiles=profiles,
        )
    ]
    _print(found, console)
    return found


def counts(found: Sequence[Compared]) -> dict[str, float]:
    """Least share of the files, of both precisions, that is within 10 and within 5 percent."""
    shares: dict[str, float] = {}
    for name, limit in (("foreign_within10", FAIR_PERCENT), ("foreign_within5", NEAR_PERCENT)):
        of_precision = [
            statistics.fmean(abs(one.error_percent) <= limit for one in found if one.precision == p)
            for p in PRECISIONS
            if any(one.precision == p for one in found)
        ]
        shares[name] = min(of_precision, default=0.0)
    return shares


def _learned(precision: Precision) -> list[Learned]:
    networks = [SHIPPED_NETWORKS[name](precision=precision, **given) for name, given in LEARNED]
    return [Learned(network, _single_layers(network)) for network in networks]


def _single_layers(network: Network) -> tuple[Operator, ...]:
    found = grouping(network_of_file(encode(network.operators), network.name))
    return tuple(pieces[-1].operators[0] for pieces in found.pieces)


def _names(host: Host, operators: Sequence[Operator]) -> list[str]:
    return host.add(OperatorSubject(operator=one) for one in operators)


def _prices(host: Host, operators: Sequence[Operator]) -> dict[Operator, Priced]:
    """Of those that could be measured."""
    distinct = list(dict.fromkeys(operators))
    found = {
        operator: host.priced(name)
        for operator, name in zip(distinct, _names(host, distinct), strict=True)
    }
    return {operator: priced for operator, priced in found.items() if priced is not None}


def _in_network(host: Host, learned: Sequence[Learned]) -> dict[str, Priced]:
    """What operators and layers take inside the networks, by key."""
    seen = []
    for one in learned:
        (name,) = host.add([NetworkSubject(network=one.network)])
        for cut in (one.network.operators, one.layers):
            keys = [operator.key for operator in cut]
            seen.append(Profiled.of(keys, host.profiles(name, cut, PROFILES)))
    return {
        key: Priced.of_entry(found.value_ms, found.low_ms, found.high_ms, found.visits)
        for key, found in in_network_estimates(seen).items()
        if found.value_ms > 0
    }


def _merged(
    alone: Mapping[Operator, Priced], inside: Mapping[str, Priced]
) -> dict[Operator, Priced]:
    named = {operator.key: operator for operator in alone}
    found = merge({operator.key: price for operator, price in alone.items()}, inside)
    return {named[key]: price for key, price in found.items() if key in named}


def _compared(
    host: Host,
    precision: Precision,
    learned: Sequence[Learned],
    files: Sequence[Path],
    console: Console,
    *,
    profiles: bool,
) -> list[Compared]:
    prices = _prices(host, [op for one in learned for op in (*one.network.operators, *one.layers)])
    if profiles:
        prices = _merged(prices, _in_network(host, learned))
    by_key = {operator.key: operator_price(operator, price) for operator, price in prices.items()}
    rows = []
    for one in learned:
        (name,) = host.add([NetworkSubject(network=one.network)])
        latency = host.priced(name)
        for cut in (one.network.operators, one.layers):
            keys = tuple(operator.key for operator in cut)
            if latency is not None and all(key in by_key for key in keys):
                rows.append(MeasuredNetwork(one.network.name, keys, latency))
    fitted = calibrate(design(rows, by_key)).fit
    factors = dict(zip(design(rows, by_key).keys, fitted.factors.tolist(), strict=True))
    model = OperatorModel(list(prices), list(prices.values()))
    console.print(
        f"{precision}: {len(prices)} operators and {len(rows)} rows to calibrate on, "
        f"scale {fitted.scale:.3f}"
    )
    found = []
    for file in files:
        measured = host.estimate(file.name)
        if measured is None:
            console.print(f"{file.name}: not measured: {host.refused[file.name]}")
            continue
        sums = _sums(grouping(read_network(file)), prices, model, factors)
        if sums is None:
            console.print(f"{file.name}: has operators like none that was measured")
            continue
        whole, unmeasured = sums
        predicted_ms = fitted.scale * whole + fitted.intercept_ms
        share = unmeasured / whole
        found.append(Compared(file.name, precision, predicted_ms, measured.value_ms, share))
    return found


def _sums(
    found: Grouping,
    prices: Mapping[Operator, Priced],
    model: OperatorModel,
    factors: Mapping[str, float],
) -> tuple[float, float] | None:
    """Sum of a file's corrected entries, and of those of it that are predicted, ms; or None."""
    known: dict[str, Knowledge] = {}
    for operator in found.operators:
        near = model.knows(operator) and model.reaches([operator])[0]
        predicted: Knowledge = "predicted" if near else "missing"
        known[operator.key] = "measured" if operator in prices else predicted
    of_group: dict[str, list[float]] = {}
    for operator in prices:
        of_group.setdefault(operator.family, []).append(factors[operator.key])
    usual = {name: float(np.median(some)) for name, some in of_group.items()}
    whole = unmeasured = 0.0
    for operator, _ in tiling(found, known):
        if known[operator.key] == "missing":
            return None
        if operator in prices:
            whole += prices[operator].value_ms * factors[operator.key]
        else:
            (value,) = model.predict([operator])
            part = value.value_ms * usual.get(operator.family, 1.0)
            whole, unmeasured = whole + part, unmeasured + part
    return whole, unmeasured


def _print(found: Sequence[Compared], console: Console) -> None:
    table = Table(title=f"{len(found)} files that others converted")
    for column in ("file", "measured ms", "predicted ms", "error %", "not measured"):
        table.add_column(column, justify="left" if column == "file" else "right")
    for one in found:
        table.add_row(
            one.name,
            f"{one.measured_ms:.3f}",
            f"{one.predicted_ms:.3f}",
            f"{one.error_percent:+.1f}",
            f"{one.predicted_share:.0%}",
        )
    console.print(table)
