"""SQL of energies."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from statistics import median

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import EnergyEntry, EnergyEstimate, EnergyQuery, EnergyUpload, EnergyValue
from profiler_server.energies.rows import EnergyMeasurementRow, EnergyRow
from profiler_server.kit.sql.bulk import Row, insert_absent, insert_or_replace
from profiler_server.kit.sql.lists import Listing, equal
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import of_what_was_named
from profiler_server.subjects.rows import SubjectRow

_KEY = ("target_id", "subject_hash", "meter")


def add(session: Session, row: Row) -> bool:
    """Inserts a measurement; False if its task has one."""
    return insert_absent(session, EnergyMeasurementRow, [row]) == 1


def derive(session: Session, target_id: str, subject_hash: str) -> None:
    """Derives what the measurements of a subject say, of each meter by itself.

    Of each device the latest counts; of several devices the median, within all their intervals.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: what they are true for.
        subject_hash: of the operator, network or model.
    """
    measured = EnergyMeasurementRow
    rows = session.scalars(
        select(measured)
        .where(
            measured.target_id == target_id,
            measured.subject_hash == subject_hash,
            measured.retraction_id.is_(None),
        )
        .order_by(measured.stored_at, measured.task_id)
    ).all()
    latest = {(row.meter, row.device_id): row for row in rows}
    by_meter: dict[str, list[EnergyMeasurementRow]] = {}
    for (meter, _), row in latest.items():
        by_meter.setdefault(meter, []).append(row)
    these = (EnergyRow.target_id == target_id, EnergyRow.subject_hash == subject_hash)
    session.execute(delete(EnergyRow).where(*these))
    found = {meter: _value(several) for meter, several in by_meter.items()}
    derived = [
        {
            "target_id": target_id,
            "subject_hash": subject_hash,
            "meter": meter,
            "value_mj": value.value_mj,
            "measured_at": value.measured_at,
            "document": value.model_dump_json(),
            "served": False,
        }
        for meter, value in found.items()
    ]
    insert_or_replace(session, EnergyRow, derived, _KEY)
    _serve(session, target_id)


def _value(rows: Collection[EnergyMeasurementRow]) -> EnergyValue:
    estimates = [EnergyEstimate.model_validate_json(row.estimate) for row in rows]
    first = next(iter(rows))
    return EnergyValue(
        value_mj=median(one.value_mj for one in estimates),
        low_mj=min(one.low_mj for one in estimates),
        high_mj=max(one.high_mj for one in estimates),
        rounds=sum(one.rounds for one in estimates),
        runs=sum(one.runs for one in estimates),
        idle_mw=median(one.idle_mw for one in estimates),
        meter=EnergyUpload.model_validate_json(first.windows).meter,
        measured_at=max(row.stored_at for row in rows),
        devices=len(rows),
    )


def _serve(session: Session, target_id: str) -> None:
    """Has the table told by one meter, which has most subjects, of equals the latest.

    Energies by different meters would be added up else.
    """
    of_target = EnergyRow.target_id == target_id
    meter = session.scalar(
        select(EnergyRow.meter)
        .where(of_target)
        .group_by(EnergyRow.meter)
        .order_by(func.count().desc(), func.max(EnergyRow.measured_at).desc(), EnergyRow.meter)
        .limit(1)
    )
    session.execute(
        update(EnergyRow)
        .where(of_target, EnergyRow.served != (EnergyRow.meter == meter))
        .values(served=EnergyRow.meter == meter)
        .execution_options(synchronize_session=False)
    )


def served(target_id: str) -> ColumnElement[bool]:
    """Of a join with subjects: the energy by which a target's table is told."""
    return and_(
        EnergyRow.subject_hash == SubjectRow.hash,
        EnergyRow.target_id == target_id,
        EnergyRow.served,
    )


def of_target(session: Session, target_id: str, query: EnergyQuery) -> Page[EnergyEntry]:
    """The energies of a target that a query asks for.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    rows = (
        select(EnergyRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EnergyRow.subject_hash)
        .where(EnergyRow.target_id == target_id)
    )
    page = _ENERGIES.page(session, rows, query)
    return page.with_items([_to_wire(row[0], row[1]) for row in page.items])


_ENERGIES = Listing(
    EnergyQuery,
    {"kind": equal(SubjectRow.kind), "meter": equal(EnergyRow.meter)},
    {
        "name": (SubjectRow.name, SubjectRow.hash, EnergyRow.meter),
        "measured_at": (EnergyRow.measured_at, EnergyRow.subject_hash, EnergyRow.meter),
    },
    of_what_was_named,
)


def _to_wire(row: EnergyRow, subject: SubjectRow) -> EnergyEntry:
    return EnergyEntry.model_validate(
        {
            "subject_hash": subject.hash,
            "kind": subject.kind,
            "name": subject.name,
            "energy": EnergyValue.model_validate_json(row.document),
        }
    )


def fresh(
    session: Session, target_id: str, subject_hashes: Collection[str], since: datetime
) -> set[str]:
    """Those of the subjects whose energy was measured on a target since then."""
    return set(
        session.scalars(
            select(EnergyRow.subject_hash).where(
                EnergyRow.target_id == target_id,
                EnergyRow.measured_at >= since,
                is_in(session, EnergyRow.subject_hash, subject_hashes),
            )
        )
    )
