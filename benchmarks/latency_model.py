"""How near predicted latencies are to measured ones, on this machine, at 224 px.

Operators of the ProxylessNAS space and of three MobileNetV2, calibration networks and held-out
networks are visited in the same shuffled rounds by the agent's own runner; the server's latency
model then predicts the held-out ones. The visits are kept in a file: `--from FILE` fits again
without measuring, and of several files, with other seeds, it states the mean; `--resume FILE` goes
on where `--limit` ended a session, so that a machine need not be idle for long. With `--transfer`
this host is five devices instead, and four of them get their tables from the first one's and ten
visits, see `benchmarks/transfer10`. The last line is one JSON object, for P in float32 and int8:

- `P_mape_5`, `P_within5_5`: held-out random networks, calibrated on 5 others; error in percent,
  share within 5 percent;
- `P_mape_5_telling`: on as many of the 40 below, chosen by what they tell of others instead;
- `P_mape_best`, `P_spearman`, `P_interval_coverage`: the same, calibrated on all 40 calibration
  networks of the space by the model that cross-validation on these chooses;
- `P_mape_adaptive40`: the same with 40 percent of the operators measured, chosen by
  what they tell, the others predicted;
- `P_group_interval_coverage`: share of operators within their stated interval where all of one
  input size, or of one number of output channels, were left out, each in turn; those that the
  model refuses do not count, `P_group_refused` is their share, `P_group_interval_width` the mean
  of the upper half of the interval, relative (a kernel size left out is refused as a whole);
- `P_mobilenet_mape`: the three MobileNetV2, their own operators measured, the same 40 calibration
  networks; `P_mobilenet_mape_kin`: with 9 more, made of MobileNetV2's operators in other depths.

The held-out networks are drawn block by block, all choices alike; they and the three MobileNetV2
take no part in any fit or choice. With `--transfer`, means over the four devices:

- `transfer10_mape`, `transfer10_coverage`, `transfer10_width`: held-out networks, error in percent,
  share within their stated interval, mean of its upper half;
- `transfer10_operator_mape`, `transfer10_operator_coverage`: operators that were filled in;
- `transfer10_worst_mape`: held-out networks on the device where they are worst.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from benchmarks.latency_visits import FULL, QUICK, Planned, Role, Session, go_on, measure
from benchmarks.transfer10.evaluate import VISITS
from benchmarks.transfer10.evaluate import evaluate as transferred
from benchmarks.transfer10.visits import DEVICES, Measured
from benchmarks.transfer10.visits import measure as measure_devices
from netspec.errors import UserError
from netspec.operators import PRECISIONS, Operator, Precision
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
#: of the networks and of the order; another one with --seed
SEED = 7
FULL_LIMIT_S = 900.0
QUICK_LIMIT_S = 35.0
TRANSFER_LIMIT_S = 360.0

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


def main() -> None:
    """Measures, unless there are visits already, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few networks, few visits")
    parser.add_argument(
        "--from", dest="files", type=Path, nargs="+", help="visits of earlier sessions"
    )
    parser.add_argument("--resume", type=Path, help="go on with the visits of this session")
    parser.add_argument("--seed", type=int, default=SEED, help="of networks and order")
    parser.add_argument("--data", type=Path, help="folder for the visits")
    parser.add_argument("--transfer", action="store_true", help="tables from ten visits instead")
    parser.add_argument(
        "--predecessor", type=Path, help="with --transfer: a Python that holds tflite-runtime"
    )
    parser.add_argument("--limit", type=float, help="no visit begins later than this, s")
    chosen = parser.parse_args()
    files: list[Path] = chosen.files or [_measured(chosen)]
    console = Console(width=110)
    told = transfers if chosen.transfer else accuracies
    found = [told(file, console) for file in files]
    print(json.dumps({name: float(np.mean([one[name] for one in found])) for name in found[0]}))


def _measured(chosen: argparse.Namespace) -> Path:
    """The file of a new session, or of the one that goes on."""
    if chosen.resume:
        go_on(chosen.resume, chosen.limit or FULL_LIMIT_S)
        return Path(chosen.resume)
    folder: Path = chosen.data or user_cache_path("proxyless-farm") / "latency_model"
    folder.mkdir(parents=True, exist_ok=True)
    kind = "transfer-" if chosen.transfer else ""
    file = folder / f"{kind}{time.strftime('%Y%m%dT%H%M%S')}-seed{chosen.seed}.jsonl"
    if chosen.transfer:
        limit_s = QUICK_LIMIT_S if chosen.quick else TRANSFER_LIMIT_S
        measure_devices(file, chosen.predecessor, chosen.seed, chosen.limit or limit_s)
    else:
        amount, limit_s = (QUICK, QUICK_LIMIT_S) if chosen.quick else (FULL, FULL_LIMIT_S)
        measure(file, amount, chosen.seed, chosen.limit or limit_s)
    return file


def accuracies(file: Path, console: Console) -> dict[str, float]:
    """Fits to a session and prints; its numbers."""
    session = Session.read(file)
    numbers: dict[str, float] = {}
    for precision in PRECISIONS:
        numbers |= evaluate(Data.of(session, precision), precision, console)
    console.print(
        f"{session.visits} visits, {session.rejected} of them rejected; kept in {file}",
        soft_wrap=True,
    )
    load = {"load_1m_start": session.plan.load_1m or 0.0, "load_1m_end": os.getloadavg()[0]}
    return {**numbers, **load}


def transfers(file: Path, console: Console) -> dict[str, float]:
    """Makes the tables of a session's devices out of ten visits each and prints; the numbers."""
    measured = Measured.read(file)
    others = [one for one in DEVICES[1:] if one.name in measured.estimates]
    found = [transferred(measured, one) for one in others]
    table = Table(title=f"tables from {DEVICES[0].name} and {VISITS} visits, errors in percent")
    for field in fields(found[0]):
        table.add_column(field.name.replace("_", " "))
    for one in found:
        table.add_row(*(one.shown()))
    console.print(table)
    for missing in DEVICES[1:]:
        if missing not in others:
            console.print(f"{missing.name}: not measured, give --predecessor")
    console.print(f"kept in {file}", soft_wrap=True)
    return {
        "transfer10_mape": float(np.mean([one.mape_percent for one in found])),
        "transfer10_coverage": float(np.mean([one.coverage for one in found])),
        "transfer10_width": float(np.mean([one.width for one in found])),
        "transfer10_operator_mape": float(np.mean([one.operator_mape_percent for one in found])),
        "transfer10_operator_coverage": float(np.mean([one.operator_coverage for one in found])),
        "transfer10_worst_mape": max(one.mape_percent for one in found),
        "load_1m_start": measured.subjects.load_1m,
        "load_1m_end": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
