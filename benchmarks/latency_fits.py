"""What one session's visits say of the latency model: fits, and how far off each is.

For `latency_model.py`, whose numbers these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.latency_visits import Planned, Role, Session
from netspec.errors import UserError
from netspec.operators import Operator, Precision
from netspec.prediction_error import Accuracy, accuracy
from netspec.statistics import Estimate
from netspec.wire import NetworkSubject, OperatorSubject
from profiler_server.latency_model.adaptive import next_operators
from profiler_server.latency_model.design import (
    Array,
    Design,
    Indices,
    MeasuredNetwork,
    Priced,
    design,
)
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.fits import (
    USUAL,
    Fit,
    Model,
    candidates,
    corrections,
    fit,
)
from profiler_server.latency_model.predictor import LEAST_ENTRIES, OperatorModel
from profiler_server.latency_model.ratios import worth_measuring
from profiler_server.latency_model.selection import Calibrated, calibrate

ADAPTIVE_SHARE = 0.4
#: operators that adaptive profiling measures before it looks again
ADAPTIVE_STEP = 4
#: of the scale that calibrates sums, before anything is measured
_SCALE_SPREAD = 0.3

Prices = dict[Operator, Priced]


@dataclass(frozen=True)
class Data:
    """What one precision's visits say."""

    #: of the space
    space: Prices
    #: of MobileNetV2 and not of the space
    others: Prices
    networks: dict[Role, list[MeasuredNetwork]]

    @classmethod
    def of(cls, session: Session, precision: Precision) -> Data:
        """The operators and networks of one precision that were visited.

        Raises:
            UserError: the session ended before every kind of network was visited.
        """
        space: Prices = {}
        others: Prices = {}
        networks: dict[Role, list[MeasuredNetwork]] = {}
        for key, planned in session.plan.planned.items():
            found = session.estimates.get(key)
            if found is None or planned.subject.precision != precision:
                continue
            subject = planned.subject
            if isinstance(subject, OperatorSubject):
                prices = space if planned.role == "operator" else others
                prices[subject.operator] = _priced(found)
            elif isinstance(subject, NetworkSubject):
                networks.setdefault(planned.role, []).append(_network(planned, subject, found))
        lacking = {*get_args(Role)} - {"operator", "mobilenet_operator"} - networks.keys()
        if lacking:
            raise UserError(
                "the session ended before everything was visited once; "
                "measure again when the machine is less busy"
            )
        return cls(space, others, networks)

    def design(self, prices: Mapping[Operator, Priced], *roles: Role) -> Design:
        """The networks of these roles under a table."""
        table = {
            operator.key: operator_price(operator, price) for operator, price in prices.items()
        }
        return design([one for role in roles for one in self.networks[role]], table)


def _priced(found: Estimate) -> Priced:
    return Priced.of_entry(found.value_ms, found.low_ms, found.high_ms, found.visits)


def _network(planned: Planned, subject: NetworkSubject, found: Estimate) -> MeasuredNetwork:
    keys = tuple(operator.key for operator in subject.network.operators)
    return MeasuredNetwork(f"{planned.role} {subject.name}", keys, _priced(found))


def adaptively(truth: Prices) -> Prices:
    """The table after measuring a share of its operators; the others are predicted."""
    wanted = round(ADAPTIVE_SHARE * len(truth))
    known: list[tuple[Operator, Priced]] = []
    while len(known) < wanted:
        left = [one for one in truth if one not in dict(known)]
        step = LEAST_ENTRIES if not known else ADAPTIVE_STEP
        chosen = next_operators(left, known, min(step, wanted - len(known)))
        known += [(one, truth[one]) for one in chosen]
    return {
        **dict(known),
        **predicted(dict(known), [one for one in truth if one not in dict(known)]),
    }


def predicted(known: Prices, lacking: Sequence[Operator]) -> Prices:
    """Prices of operators that were not measured, with how sure they are.

    Raises:
        ValueError: there is no entry of an operator's kind or kernel size.
    """
    model = OperatorModel(list(known), list(known.values()))
    unknown = [one.key for one in lacking if not model.knows(one)]
    if unknown:
        raise ValueError(f"nothing is known of operators like {unknown[0]}")
    means, covariance = model.posterior(lacking)
    return {
        operator: Priced(float(np.exp(mean)), float(deviation))
        for operator, mean, deviation in zip(
            lacking, means, np.sqrt(np.diag(covariance)), strict=True
        )
    }


def most_telling(networks: Design, count: int) -> Indices:
    """Indices of the networks that leave the least doubt in others' sums, by ridge's prior."""
    covariance = corrections(networks, USUAL) + _SCALE_SPREAD**2
    shares = networks.counts * networks.values_ms / networks.sums_ms[:, None]
    often = np.minimum(networks.counts.mean(axis=0), 1.0)
    return np.array(worth_measuring(covariance, shares, networks.values_ms, often, count))


def errors(fitted: Fit, networks: Design) -> Accuracy:
    """Of a fit, on networks that it has not seen."""
    return accuracy(networks.names, _predict(fitted, networks), networks.measured_ms)


def _predict(fitted: Fit, networks: Design) -> Array:
    return fitted.predict_ms(networks.counts, networks.values_ms)


def coverage(calibrated: Calibrated, networks: Design) -> float:
    """Share of the networks within their stated interval."""
    assert calibrated.interval_factor is not None  # noqa: S101 (several networks)
    off = np.abs(np.log(_predict(calibrated.fit, networks) / networks.measured_ms))
    return float((off <= np.log(calibrated.interval_factor)).mean())


def without_groups(prices: Prices) -> dict[str, float]:
    """How intervals hold for operators of an input size or a width that was not measured."""
    groups: dict[tuple[str, int], list[Operator]] = {}
    for operator in prices:
        groups.setdefault(("input", operator.input_size), []).append(operator)
        groups.setdefault(("channels", operator.out_channels), []).append(operator)
    inside: list[bool] = []
    widths: list[float] = []
    refused = 0
    for left_out in groups.values():
        rest = [operator for operator in prices if operator not in left_out]
        if len(rest) < LEAST_ENTRIES:
            continue
        model = OperatorModel(rest, [prices[operator] for operator in rest])
        known = [operator for operator in left_out if model.knows(operator)]
        reached = dict(zip(known, model.reaches(known), strict=True))
        near = [operator for operator in known if reached[operator]]
        refused += len(left_out) - len(near)
        for operator, found in zip(near, model.predict(near), strict=True):
            inside.append(found.low_ms <= prices[operator].value_ms <= found.high_ms)
            widths.append(found.high_ms / found.value_ms - 1)
    return {
        "group_interval_coverage": float(np.mean(inside)),
        "group_interval_width": float(np.mean(widths)),
        "group_refused": refused / (refused + len(inside)),
    }


def evaluate(data: Data, precision: Precision, console: Console) -> dict[str, float]:
    """Fits and prints; the numbers of one precision."""
    everything = {**data.space, **data.others}
    partly = adaptively(data.space)
    without_own = {**data.space, **predicted(data.space, list(data.others))}
    roles: tuple[Role, Role] = ("first_calibration", "calibration")
    few = calibrate(data.design(everything, "first_calibration"))
    all_networks = data.design(everything, *roles)
    telling = calibrate(all_networks.rows(most_telling(all_networks, len(few.design))))
    best = calibrate(all_networks)
    kin = calibrate(data.design(everything, *roles, "mobilenet_calibration"))
    adaptive = calibrate(data.design(partly, *roles))
    adaptive_few = calibrate(data.design(partly, "first_calibration"))
    mobile = calibrate(data.design(without_own, *roles))
    held_out = data.design(everything, "held_out")
    mobilenets = data.design(everything, "mobilenet")
    table = Table(title=f"{precision}: {len(data.space)} operators, {len(held_out)} held out")
    for column in ("calibrated by", "on", "MAPE %", "bias %", "within 5 %", "Spearman", "worst %"):
        table.add_column(column, justify="left" if column == "calibrated by" else "right")
    uncalibrated = Fit(Model("scale"), 1.0, 0.0, np.ones(len(held_out.keys)))
    _add(table, "nothing", 0, errors(uncalibrated, held_out))
    for calibrated, label in ((few, "first"), (telling, "most telling"), (best, "all")):
        for model in candidates(calibrated.design):
            _add(
                table,
                f"{label}: {model.label}",
                len(calibrated.design),
                errors(fit(calibrated.design, model), held_out),
            )
        _add(
            table,
            f"{label}: chosen, {calibrated.fit.model.label}",
            len(calibrated.design),
            errors(calibrated.fit, held_out),
        )
        if calibrated.held_out is not None:
            _add(table, "  as stated beforehand", len(calibrated.design), calibrated.held_out)
    partly_held_out = data.design(partly, "held_out")
    for calibrated, label in ((adaptive_few, "first"), (adaptive, "all")):
        _add(
            table,
            f"{label}: {ADAPTIVE_SHARE:.0%} of the operators, {calibrated.fit.model.label}",
            len(calibrated.design),
            errors(calibrated.fit, partly_held_out),
        )
    of_mobilenets = errors(best.fit, mobilenets)
    beside_kin = errors(kin.fit, mobilenets)
    _add(table, "MobileNetV2, its operators measured", len(best.design), of_mobilenets)
    _add(table, "  and calibration networks of them", len(kin.design), beside_kin)
    _add(
        table,
        "MobileNetV2, its operators predicted",
        len(mobile.design),
        errors(mobile.fit, data.design(without_own, "mobilenet")),
    )
    console.print(table)
    of_few, of_best = errors(few.fit, held_out), errors(best.fit, held_out)
    numbers = {
        "mape_5": of_few.mape_percent,
        "within5_5": of_few.within_5,
        "mape_5_telling": errors(telling.fit, held_out).mape_percent,
        "mape_best": of_best.mape_percent,
        "spearman": of_best.spearman or 0.0,
        "interval_coverage": coverage(best, held_out),
        "mape_adaptive40": errors(adaptive.fit, partly_held_out).mape_percent,
        "mobilenet_mape": of_mobilenets.mape_percent,
        "mobilenet_mape_kin": beside_kin.mape_percent,
        **without_groups(everything),
    }
    return {f"{precision}_{name}": value for name, value in numbers.items()}


def _add(table: Table, label: str, networks: int, found: Accuracy) -> None:
    table.add_row(
        label,
        str(networks) if networks else "",
        f"{found.mape_percent:.2f}",
        f"{found.bias_percent:+.2f}",
        f"{found.within_5:.2f}",
        f"{found.spearman:.3f}" if found.spearman is not None else "",
        f"{found.worst_percent:.1f}",
    )
