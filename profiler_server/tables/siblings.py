"""A first table for a target whose sibling has one: `profiler-server transfer`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from netspec.errors import UserError
from netspec.operators import PRECISIONS, Precision
from profiler_server.devices import repository as devices
from profiler_server.kit.cli import DatabaseUrl, open_database
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.transfer import LEAST_SHARED, Transfer, transfer
from profiler_server.measurements import repository as measurements
from profiler_server.measurements import share_repository as shares
from profiler_server.tables.table import Table, priced, table_of


@dataclass(frozen=True)
class Filled:
    """What a sibling's table gave to a target in one precision."""

    precision: Precision
    transfer: Transfer


def fill(session: Session, sibling_id: str, target_id: str) -> list[Filled]:
    """Gives a target entries for operators that only its sibling has measured.

    Each is the sibling's entry times the precision's factor, dated and counted as that one, with
    an interval of its own; entries of the target itself stay as they are.

    Raises:
        UserError: there is no such target, or in no precision were enough operators measured on
            both.
    """
    for one in (sibling_id, target_id):
        if devices.target(session, one) is None:
            known = ", ".join(row.id for row in devices.targets(session)) or "none"
            raise UserError(f"no target {one!r}; there are: {known}")
    theirs = measurements.entries_of_target(session, sibling_id)
    ours = measurements.entries_of_target(session, target_id)
    filled = []
    for precision in PRECISIONS:
        sibling = _measured(table_of(theirs, precision))
        own = _measured(table_of(ours, precision))
        if len(sibling.keys() & own.keys()) < LEAST_SHARED:
            continue
        found = transfer(_prices(sibling), _prices(own))
        shares.put_entries(
            session, [_row(target_id, sibling, found, key) for key in found.transferred]
        )
        filled.append(Filled(precision, found))
    if not filled:
        raise UserError(
            f"fewer than {LEAST_SHARED} operators are measured on both {sibling_id} and "
            f"{target_id}; measure some of the sibling's on {target_id} first"
        )
    return filled


def _measured(table: Table) -> Table:
    return {
        key: (operator, entry)
        for key, (operator, entry) in table.items()
        if entry.method != shares.FITTED and entry.value_ms > 0
    }


def _prices(table: Table) -> dict[str, Priced]:
    return {key: priced(entry) for key, (_, entry) in table.items()}


def _row(target_id: str, sibling: Table, found: Transfer, key: str) -> dict[str, object]:
    operator, entry = sibling[key]
    price = found.prices[key]
    width = math.exp(1.96 * price.relative_error)
    return {
        "target_id": target_id,
        "subject_hash": operator.content_hash,
        "method": shares.FITTED,
        "value_ms": price.value_ms,
        "low_ms": price.value_ms / width,
        "high_ms": price.value_ms * width,
        "visits": entry.visits,
        "measured_at": entry.measured_at,
    }


def transfer_table(
    sibling: Annotated[str, typer.Argument(help="The target that has a table.")],
    target: Annotated[str, typer.Argument(help="The target that gets one.")],
    database_url: DatabaseUrl = None,
) -> None:
    """Fills a target's table from that of a sibling, times a fitted factor.

    At least three operators must be measured on both; the median of their ratios is the factor.
    Measurements replace what was filled in, entry by entry.

    Example:
      profiler-server transfer 0123456789abcdef fedcba9876543210
    """
    with open_database(database_url) as (database, _), database.write() as session:
        filled = fill(session, sibling, target)
    for one in filled:
        found = one.transfer
        typer.echo(
            f"{one.precision}: {len(found.transferred)} entries filled in, times "
            f"{found.factor:.3f}; mean error {found.mape_percent:.1f} %"
        )
