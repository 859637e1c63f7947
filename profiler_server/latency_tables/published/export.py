"""A target's entries as a published table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from netspec.wire import OperatorSubject
from profiler_server.devices import repository as devices
from profiler_server.entries import repository as measurements
from profiler_server.entries.derived_repository import FITTED
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.latency_tables import published_calibrations, service
from profiler_server.latency_tables.lookups.factors import operator_factors
from profiler_server.latency_tables.published.formats import FORMATS
from profiler_server.latency_tables.published.formats.table import (
    Price,
    TableFormat,
    TableToWrite,
    WrittenTable,
    listing,
)
from profiler_server.latency_tables.published.names import FormatName


def export(
    session: Session,
    target_id: str,
    format_name: FormatName,
    precision: Precision | None,
    *,
    calibrated: bool = False,
) -> WrittenTable:
    """The target's operators as a document.

    Args:
        session: reads.
        target_id: whose entries.
        format_name: of the document; `snapshot`: the latest one that is published.
        precision: only entries in it; None: all.
        calibrated: each entry times its factor and the scale of the latest calibration.

    Raises:
        UserError: there is no such target, it has no such entries or calibration, they mix
            precisions and the format names none, or none of them can be represented.
    """
    row = devices.target(session, target_id)
    if row is None:
        known = ", ".join(target.id for target in devices.targets(session)) or "none"
        raise UserError(f"no target {target_id!r}; there are: {known}")
    format_ = FORMATS[format_name]
    if format_.write is None:
        if precision is not None or calibrated:
            raise UserError(
                f"a {format_name} holds all entries as they are, and the calibrations beside "
                "them; leave --precision and --calibrated out"
            )
        return WrittenTable(service.load(session, service.latest_id(session, target_id)) + "\n")
    found = [
        (entry, subject)
        for entry, subject in measurements.entries_of_target(session, target_id)
        if subject.kind == "operator" and precision in (None, subject.precision)
    ]
    prices = tuple(
        Price(
            OperatorSubject.model_validate_json(subject.document).operator,
            entry.value_ms,
            entry.low_ms,
            entry.high_ms,
            entry.visits,
        )
        for entry, subject in found
    )
    if not prices:
        of = f" in {precision}" if precision else ""
        raise UserError(f"no operator of target {target_id} has an entry{of}; measure some first")
    if not format_.names_precision and len({price.operator.precision for price in prices}) > 1:
        raise UserError(
            f"{format_name} names no precision and the table has both; "
            "say --precision float32 or int8"
        )
    device = TargetIdentity.model_validate_json(row.identity).device_model
    note = _fitted(target_id, found)
    table = TableToWrite(prices, device, note)
    if calibrated:
        table = _calibrated(session, target_id, format_name, format_, table)
    document = replace(format_.write(table), note=note)
    if len(document.left_out) == len(prices):
        raise UserError(
            f"no operator of target {target_id} has a place in {format_name}, "
            f"try another format: {listing(document.left_out)}"
        )
    return document


def _fitted(target_id: str, found: Sequence[EntryOfSubject]) -> str:
    """Which of the entries nobody has measured on the target; empty where all were."""
    sources = [entry.fitted_from or "" for entry, _ in found if entry.method == FITTED]
    if not sources:
        return ""
    return (
        f"{len(sources)} of {len(found)} entries were not measured on target {target_id}: they are "
        f"those of {', '.join(sorted(set(sources)))}, fitted"
    )


def _calibrated(
    session: Session,
    target_id: str,
    format_name: FormatName,
    format_: TableFormat,
    table: TableToWrite,
) -> TableToWrite:
    """The table with its values as sums of networks need them, which its header says."""
    if not format_.has_header:
        raise UserError(
            f"{format_name} has no header, in which calibrated values would be told from others; "
            "leave --calibrated out, or export another format"
        )
    published = published_calibrations.latest(session, target_id)
    by_precision = {one.precision: one for one in published.calibrations} if published else {}
    precisions = sorted({price.operator.precision for price in table.prices})
    missing = [one for one in precisions if one not in by_precision]
    if published is None or missing:
        raise UserError(
            f"target {target_id} has no {' and no '.join(missing)} calibration; measure whole "
            "networks with `search-client profile`, or leave --calibrated out"
        )
    times_of: dict[str, float] = {}
    for one in precisions:
        operators = [price.operator for price in table.prices if price.operator.precision == one]
        factors = operator_factors(by_precision[one], operators)
        for operator, factor in zip(operators, factors, strict=True):
            times_of[operator.key] = factor * by_precision[one].scale
    prices: list[Price] = []
    for price in table.prices:
        times = times_of[price.operator.key]
        prices.append(
            replace(
                price,
                value_ms=price.value_ms * times,
                low_ms=price.low_ms * times,
                high_ms=price.high_ms * times,
            )
        )
    added = "; ".join(
        f"add {by_precision[one].intercept_ms:.6g} ms to each {one} network's sum"
        for one in precisions
    )
    calibrated = (
        f"calibrated by snapshot {published.snapshot_id} of target {target_id}: each value is its "
        f"entry times a factor; {added}"
    )
    header = "; ".join(one for one in (calibrated, table.header) if one)
    return replace(table, prices=tuple(prices), header=header)
