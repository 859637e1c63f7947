"""How well sums of operators predict other networks of a space, after few calibration networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.operators_on_host.visits import Host
from netspec.networks import Network
from netspec.operators import PRECISIONS, Operator, Precision
from netspec.prediction_error import Accuracy, accuracy
from netspec.sampling import random_network, typical_networks
from netspec.spaces import Space
from netspec.wire import NetworkSubject, OperatorSubject
from profiler_server.latency_model.design import Design, MeasuredNetwork, Priced, design
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.selection import calibrate

CALIBRATION_NETWORKS = 5
HELD_OUT_NETWORKS = 20
#: visits at most, where the time allows
OPERATOR_VISITS = 16
NETWORK_VISITS = 40


@dataclass(frozen=True)
class Drawn:
    """A space in one precision, with the networks drawn from it."""

    name: str
    operators: tuple[Operator, ...]
    calibration: tuple[Network, ...]
    held_out: tuple[Network, ...]

    @property
    def networks(self) -> tuple[Network, ...]:
        """All of them."""
        return (*self.calibration, *self.held_out)


def errors_of_sums(
    host: Host,
    spaces: Mapping[str, Space],
    limit_s: float,
    console: Console,
    networks: int = HELD_OUT_NETWORKS,
) -> dict[str, float]:
    """Measures, prints a table, and gives errors in percent by `SPACE_PRECISION`.

    Args:
        host: to measure on.
        spaces: by name.
        limit_s: for everything.
        console: for the table.
        networks: held out, of each space and precision.
    """
    drawn = [
        found
        for name, space in spaces.items()
        for precision in PRECISIONS
        if (found := _draw(host, name, space, precision, networks, console)) is not None
    ]
    wanted: dict[str, int] = {}
    for one in drawn:
        wanted |= dict.fromkeys(_operator_names(host, one.operators), OPERATOR_VISITS)
        wanted |= dict.fromkeys(_network_names(host, one.networks), NETWORK_VISITS)
    host.visit(wanted, limit_s)
    table = Table(title=f"{networks} networks held out, {CALIBRATION_NETWORKS} to calibrate on")
    for column in ("space", "operators", "MAPE %", "bias %", "within 5 %", "worst %"):
        table.add_column(column, justify="left" if column == "space" else "right")
    errors: dict[str, float] = {}
    for one in drawn:
        off = _accuracy(host, one)
        errors[one.name] = off.mape_percent
        table.add_row(
            one.name,
            str(len(one.operators)),
            f"{off.mape_percent:.2f}",
            f"{off.bias_percent:+.2f}",
            f"{off.within_5:.2f}",
            f"{off.worst_percent:+.1f}",
        )
    console.print(table)
    return errors


def _draw(
    host: Host, name: str, space: Space, precision: Precision, networks: int, console: Console
) -> Drawn | None:
    """Networks of a space; None where the delegate does not run all of its operators."""
    own = space.with_precision(precision)
    operators = tuple(dict.fromkeys(own.operators()))
    names = _operator_names(host, operators)
    host.visit(dict.fromkeys(names, 1), 0.0)
    if refused := [at for at, one in enumerate(names) if one in host.refused]:
        first = refused[0]
        console.print(
            f"{name} {precision}: left out, as {len(refused)} of {len(operators)} operators are "
            f"not run by the delegate alone; {operators[first].key}: {host.refused[names[first]]}",
            soft_wrap=True,
        )
        return None
    first_ms = {}
    for operator, known in zip(operators, names, strict=True):
        priced = host.priced(known)
        assert priced is not None  # noqa: S101 (each was visited once)
        first_ms[operator.key] = priced.value_ms
    rng = np.random.default_rng(7)
    held_out = tuple(random_network(own, rng) for _ in range(networks))
    calibration = tuple(typical_networks(own, first_ms, CALIBRATION_NETWORKS, 8))
    return Drawn(f"{name} {precision}", operators, calibration, held_out)


def _operator_names(host: Host, operators: Sequence[Operator]) -> list[str]:
    return host.add(OperatorSubject(operator=one) for one in operators)


def _network_names(host: Host, networks: Sequence[Network]) -> list[str]:
    return host.add(NetworkSubject(network=one) for one in networks)


def _accuracy(host: Host, drawn: Drawn) -> Accuracy:
    names = _operator_names(host, drawn.operators)
    prices = {
        operator.key: operator_price(operator, _known(host, name))
        for operator, name in zip(drawn.operators, names, strict=True)
    }

    def measured(networks: Sequence[Network]) -> Design:
        return design(
            [
                MeasuredNetwork(
                    network.name,
                    tuple(operator.key for operator in network.operators),
                    _known(host, name),
                )
                for network, name in zip(networks, _network_names(host, networks), strict=True)
            ],
            prices,
        )

    fitted = calibrate(measured(drawn.calibration)).fit
    held_out = measured(drawn.held_out)
    predicted_ms = fitted.predict_ms(held_out.counts, held_out.values_ms)
    return accuracy(held_out.names, predicted_ms, held_out.measured_ms)


def _known(host: Host, name: str) -> Priced:
    priced = host.priced(name)
    assert priced is not None  # noqa: S101 (everything was visited once)
    return priced
