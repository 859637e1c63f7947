"""Calibrations out of stored entries: the latency model's choice, as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from netspec.operators import Precision
from netspec.prediction_error import Accuracy
from netspec.wire import (
    Calibration,
    CalibrationNetwork,
    Entry,
    HeldOutError,
    NetworkSubject,
    family_shares,
)
from profiler_server.entries.priced_operators import Table, priced
from profiler_server.latency_model.design import MeasuredNetwork, design
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.selection import calibrate
from profiler_server.latency_tables.energy_scale import energy_scale
from profiler_server.latency_tables.launches import launch_fits

#: factors nearer to 1 than this say nothing
_LEAST_CORRECTION = 1e-9


def fit(
    precision: Precision,
    table: Table,
    networks: Sequence[tuple[NetworkSubject, Entry]],
) -> Calibration:
    """The model that the networks support, its error and its interval.

    Args:
        precision: of everything that is given.
        table: whole: also operators in none of the networks are corrected.
        networks: at least one, whose operators all have entries; none of 0 ms.
    """
    prices = {
        key: operator_price(operator, priced(entry)) for key, (operator, entry) in table.items()
    }
    measured = [
        MeasuredNetwork(
            subject.name,
            tuple(operator.key for operator in subject.network.operators),
            priced(entry),
        )
        for subject, entry in networks
    ]
    found = calibrate(design(measured, prices))
    factors = {
        key: float(factor)
        for key, factor in zip(found.design.keys, found.fit.factors, strict=True)
        if abs(factor - 1) > _LEAST_CORRECTION
    }
    sums_ms = found.design.counts @ (found.design.values_ms * found.fit.factors)
    # A model with a negative intercept may go below 0 far outside what it has seen.
    held_out_ms: Sequence[float | None] = (
        [None] * len(networks)
        if found.held_out_ms is None
        else [max(float(value), 0.0) for value in found.held_out_ms]
    )
    return Calibration(
        precision=precision,
        model=found.fit.model.kind,
        scale=found.fit.scale,
        intercept_ms=found.fit.intercept_ms,
        factors=factors,
        networks=tuple(
            CalibrationNetwork(
                name=subject.name,
                subject_hash=subject.content_hash,
                sum_ms=float(sum_ms),
                measured_ms=entry.value_ms,
                held_out_ms=held_out,
            )
            for (subject, entry), sum_ms, held_out in zip(
                networks, sums_ms, held_out_ms, strict=True
            )
        ),
        held_out=_message(found.held_out),
        interval_factor=found.interval_factor,
        greatest_shares=_greatest_shares(table, factors, [subject for subject, _ in networks]),
        launches=launch_fits(networks),
        energy=energy_scale(table, networks),
    )


def _greatest_shares(
    table: Table, factors: Mapping[str, float], networks: Sequence[NetworkSubject]
) -> dict[str, float]:
    greatest: dict[str, float] = {}
    for subject in networks:
        operators = subject.network.operators
        corrected_ms = [table[one.key][1].value_ms * factors.get(one.key, 1.0) for one in operators]
        for name, share in family_shares(operators, corrected_ms).items():
            greatest[name] = max(share, greatest.get(name, 0.0))
    return greatest


def _message(held_out: Accuracy | None) -> HeldOutError | None:
    return None if held_out is None else HeldOutError(**asdict(held_out))
