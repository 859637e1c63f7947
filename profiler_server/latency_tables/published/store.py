"""Published tables in and out of the database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from netspec.validation import first_problem
from netspec.wire import OperatorSubject
from profiler_server.devices import repository as devices
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import repository as measurements
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables.published.formats import FORMATS
from profiler_server.latency_tables.published.formats.table import (
    Price,
    ReadTable,
    WrittenTable,
    listing,
)
from profiler_server.latency_tables.published.names import FormatName
from profiler_server.subjects.repository import ensure_subjects


def identity(format_name: FormatName, content: bytes, facts: Mapping[str, Any]) -> TargetIdentity:
    """The target of an imported file.

    The file's hash stands for the unknown runtime binary, the hash of
    `imported FORMAT` for the unknown protocol: no measurement can have either, so that
    imported and measured entries never meet on one target.

    Raises:
        UserError: a fact is not one that a target can have.
    """
    hashes = {
        "runtime_sha256": hashlib.sha256(content).hexdigest(),
        "protocol": hashlib.sha256(f"imported {format_name}".encode()).hexdigest(),
    }
    try:
        return TargetIdentity.model_validate({**facts, **hashes})
    except ValidationError as error:
        raise UserError(f"this is no target: {first_problem(error, TargetIdentity)}") from error


def store(session: Session, target: TargetIdentity, table: ReadTable) -> None:
    """Makes the table's prices entries of the target; the file's date is not known, so now."""
    now = database_now(session)
    devices.ensure_targets(session, [target], None, now)
    devices.lock_targets(session, {target.id})
    subjects = [OperatorSubject(operator=price.operator) for price in table.prices]
    ensure_subjects(session, subjects)
    rows = [
        {
            "target_id": target.id,
            "subject_hash": price.operator.content_hash,
            "method": derived.IMPORTED,
            "value_ms": price.value_ms,
            "low_ms": price.low_ms,
            "high_ms": price.high_ms,
            "visits": price.count,
            "measured_at": now,
        }
        for price in table.prices
    ]
    derived.put_entries(session, target.id, rows)


def export(
    session: Session, target_id: str, format_name: FormatName, precision: Precision | None
) -> WrittenTable:
    """The target's operators as a document.

    Raises:
        UserError: there is no such target, it has no such entries, they mix precisions and
            the format names none, or none of them can be represented.
    """
    row = devices.target(session, target_id)
    if row is None:
        known = ", ".join(target.id for target in devices.targets(session)) or "none"
        raise UserError(f"no target {target_id!r}; there are: {known}")
    format_ = FORMATS[format_name]
    prices = tuple(
        Price(
            OperatorSubject.model_validate_json(subject.document).operator,
            entry.value_ms,
            entry.low_ms,
            entry.high_ms,
            entry.visits,
        )
        for entry, subject in measurements.entries_of_target(session, target_id)
        if subject.kind == "operator" and precision in (None, subject.precision)
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
    document = format_.write(prices, device)
    if len(document.left_out) == len(prices):
        raise UserError(
            f"no operator of target {target_id} has a place in {format_name}, "
            f"try another format: {listing(document.left_out)}"
        )
    return document
