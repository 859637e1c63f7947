"""How good a table is that was made of a sibling's and ten visits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from benchmarks.transfer10.visits import DEVICES, HostDevice, Measured
from netspec.networks import Network
from profiler_server.latency_model.design import (
    INTERVAL_SIGMAS,
    Array,
    Design,
    MeasuredNetwork,
    OperatorPrice,
    Priced,
    design,
)
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.selection import Calibrated, calibrate
from profiler_server.latency_model.sibling import SiblingTable

VISITS = 10


@dataclass(frozen=True)
class Transferred:
    """What one transfer came to, on what it has not seen."""

    target: str
    #: mean absolute error of held-out networks, percent
    mape_percent: float
    #: of operators that were filled in
    operator_mape_percent: float
    #: share within the stated interval
    coverage: float
    operator_coverage: float
    #: mean of the upper half of the intervals, relative
    width: float
    operator_width: float
    #: error of the sums by one median factor of as many operators
    by_factor_percent: float
    #: what leaving out each of the visited says beforehand
    stated_percent: float

    def shown(self) -> list[str]:
        """Each field for people."""
        return [one if isinstance(one, str) else f"{one:.2f}" for one in astuple(self)]


def evaluate(measured: Measured, target: HostDevice, visits: int = VISITS) -> Transferred:
    """A table of the target out of the first device's."""
    operators = measured.subjects.operators
    source = _prices(measured, DEVICES[0])
    own = _prices(measured, target)
    calibration = _networks(measured, "calibration", measured.subjects.calibration)
    table = SiblingTable(
        operators,
        [source[one.key] for one in operators],
        [MeasuredNetwork(name, keys, source[name]) for name, keys in calibration.items()],
    )
    chosen = table.choose(visits)
    found = table.bring_over({name: own[name] for name in chosen})
    assert found is not None  # noqa: S101 (ten are enough)
    entries = {
        one.key: operator_price(one.with_precision(target.precision), found.prices[one.key])
        for one in operators
    }
    known = [MeasuredNetwork(n, calibration[n], own[n]) for n in chosen if n in calibration]
    asked = _networks(measured, "held_out", measured.subjects.held_out)
    held_out = design([MeasuredNetwork(n, keys, own[n]) for n, keys in asked.items()], entries)
    calibrated = calibrate(design(known, entries))
    predicted_ms = calibrated.fit.predict_ms(held_out.counts, held_out.values_ms)
    off = np.log(predicted_ms / held_out.measured_ms)
    half = _half(calibrated, held_out, entries, set(found.fitted))
    wrong = np.log([found.prices[key].value_ms / own[key].value_ms for key in found.fitted])
    reach = np.array([INTERVAL_SIGMAS * found.prices[key].relative_error for key in found.fitted])
    factor = np.median([own[n].value_ms / source[n].value_ms for n in chosen])
    plain_ms = held_out.counts @ np.array([factor * source[key].value_ms for key in held_out.keys])
    return Transferred(
        target=target.name,
        mape_percent=_percent(off),
        operator_mape_percent=_percent(wrong),
        coverage=float((np.abs(off) <= half).mean()),
        operator_coverage=float((np.abs(wrong) <= reach).mean()),
        width=float(np.expm1(half).mean()),
        operator_width=float(np.expm1(reach).mean()),
        by_factor_percent=_percent(np.log(plain_ms / held_out.measured_ms)),
        stated_percent=found.mape_percent,
    )


def _prices(measured: Measured, device: HostDevice) -> dict[str, Priced]:
    """By key of the operator in float32, and name of the network."""
    return {
        name.removeprefix("operator "): Priced.of_entry(
            one.value_ms, one.low_ms, one.high_ms, one.visits
        )
        for name, one in measured.estimates[device.name].items()
    }


def _networks(
    measured: Measured, role: str, networks: Sequence[Network]
) -> dict[str, tuple[str, ...]]:
    return {
        f"{role} {at}": tuple(operator.key for operator in one.operators)
        for at, one in enumerate(networks)
        if f"{role} {at}" in measured.estimates[DEVICES[0].name]
    }


def _half(
    calibrated: Calibrated,
    networks: Design,
    entries: Mapping[str, OperatorPrice],
    fitted: Collection[str],
) -> Array:
    """Half of each network's interval, as a logarithm, as the server states it."""
    halves = np.array([INTERVAL_SIGMAS * entries[key].relative_error for key in networks.keys])
    together = np.array([key in fitted for key in networks.keys])
    parts_ms = networks.counts * networks.values_ms * calibrated.fit.factors
    shares = parts_ms / parts_ms.sum(axis=1, keepdims=True)
    single = np.sqrt(shares**2 @ (halves * ~together) ** 2)
    own = np.log(calibrated.interval_factor or np.inf)
    return np.asarray(np.sqrt(own**2 + single**2 + (shares @ (halves * together)) ** 2))


def _percent(logarithms: Array) -> float:
    return float(100 * np.abs(np.expm1(logarithms)).mean())
