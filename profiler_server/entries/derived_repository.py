"""SQL of what is derived from visits: devices' samples, and the entries made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import Method
from profiler_server.devices.rows import TargetRow
from profiler_server.energies import repository as energies
from profiler_server.energies.rows import EnergyRow
from profiler_server.entries.device_samples import (
    LAUNCH_COLUMNS,
    SPREAD_COLUMNS,
    TYPICAL_COLUMNS,
    DeviceSamples,
    Sample,
    Samples,
)
from profiler_server.entries.repository import IMPORTED
from profiler_server.entries.rows import (
    ACCEPTED,
    DeviceEstimateRow,
    EntryRow,
    InNetworkEstimateRow,
    ProfiledNetworkRow,
    VisitRow,
)
from profiler_server.kit.sql.bulk import Row, insert_or_replace
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.many_values import is_in
from profiler_server.subjects.rows import SubjectRow

#: method of the entries that come from another target, times a factor
FITTED: Method = "fitted"
#: method of the entries of operators that were profiled inside networks
IN_NETWORK: Method = "in_network"
_NOT_DERIVED = (IMPORTED, FITTED)

#: by subject hash and device
SamplesByDevice = dict[str, dict[str, DeviceSamples]]


def samples(session: Session, target_id: str, subject_hashes: Collection[str]) -> Samples:
    """The samples of every accepted visit of the subjects."""
    found: Samples = {}
    rows = session.execute(
        select(
            VisitRow.subject_hash,
            VisitRow.device_id,
            VisitRow.p5_us,
            VisitRow.started_at,
            *(getattr(VisitRow, name) for name in (*SPREAD_COLUMNS, *LAUNCH_COLUMNS)),
        ).where(
            VisitRow.target_id == target_id,
            is_in(session, VisitRow.subject_hash, subject_hashes),
            ACCEPTED,
        )
    )
    for subject_hash, device_id, *sample in rows:
        by_device = found.setdefault(subject_hash, {})
        by_device.setdefault(device_id, []).append(Sample(*sample))
    return found


def device_samples(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> SamplesByDevice:
    """The stored samples of the subjects."""
    found: SamplesByDevice = {}
    rows = session.execute(
        select(
            DeviceEstimateRow.subject_hash,
            DeviceEstimateRow.device_id,
            DeviceEstimateRow.p5_us,
            DeviceEstimateRow.spreads_us,
            DeviceEstimateRow.launches,
            DeviceEstimateRow.measured_at,
        ).where(
            DeviceEstimateRow.target_id == target_id,
            is_in(session, DeviceEstimateRow.subject_hash, subject_hashes),
        )
    )
    for subject_hash, device_id, p5_us, spreads_us, launches, measured_at in rows:
        own = DeviceSamples.load(p5_us, spreads_us, launches, measured_at)
        found.setdefault(subject_hash, {})[device_id] = own
    return found


def visited(session: Session, target_id: str, subject_hashes: Collection[str]) -> set[str]:
    """Those of the subjects that were visited by themselves."""
    rows = session.scalars(
        select(DeviceEstimateRow.subject_hash).where(
            DeviceEstimateRow.target_id == target_id,
            is_in(session, DeviceEstimateRow.subject_hash, subject_hashes),
        )
    )
    return set(rows)


def visits_in_entries(
    session: Session, target_id: str, subject_hashes: Collection[str]
) -> dict[str, int]:
    """How many visits the subjects' entries are made of, where those are samples of devices."""
    rows = session.execute(
        select(EntryRow.subject_hash, EntryRow.visits).where(
            EntryRow.target_id == target_id,
            is_in(session, EntryRow.subject_hash, subject_hashes),
            EntryRow.method.not_in((IMPORTED, IN_NETWORK)),
        )
    )
    return dict(rows.all())


def measured(session: Session, target_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Every subject that has an accepted visit on one of the targets, sorted by target."""
    rows = session.execute(
        select(VisitRow.target_id, VisitRow.subject_hash)
        .where(VisitRow.target_id.in_(target_ids), ACCEPTED)
        .distinct()
        .order_by(VisitRow.target_id, VisitRow.subject_hash)
    )
    yield from rows


def put_device_samples(session: Session, rows: Sequence[Row]) -> None:
    """Inserts devices' samples with their estimates, or replaces those that are there."""
    insert_or_replace(session, DeviceEstimateRow, rows, ("target_id", "subject_hash", "device_id"))


def put_entries(session: Session, target_id: str, rows: Sequence[Row]) -> None:
    """Inserts entries, or replaces those that are there; each gets its subject's place and energy.

    Args:
        session: a writing transaction that holds the target's lock, under which new ones are
            counted.
        target_id: the target of all rows.
        rows: at most one a subject; `held_back` and `TYPICAL_COLUMNS` only where there may be any.
    """
    present = and_(EntryRow.subject_hash == SubjectRow.hash, EntryRow.target_id == target_id)
    places: dict[str, Row] = {}
    new = 0
    for subject_hash, shape, kernel, expand, stored, energy in session.execute(
        select(
            SubjectRow.hash,
            SubjectRow.shape,
            SubjectRow.kernel,
            SubjectRow.expand,
            EntryRow.subject_hash,
            EnergyRow.document,
        )
        .outerjoin(EntryRow, present)
        .outerjoin(EnergyRow, energies.served(target_id))
        .where(is_in(session, SubjectRow.hash, {row["subject_hash"] for row in rows}))
    ):
        places[subject_hash] = {
            "shape": shape,
            "kernel": kernel,
            "expand": expand,
            "energy": energy,
        }
        new += stored is None
    usual = {
        "written_at": database_now(session),
        "held_back": False,
        **dict.fromkeys(TYPICAL_COLUMNS),
    }
    placed = [{**usual, **row, **places[row["subject_hash"]]} for row in rows]
    insert_or_replace(session, EntryRow, placed, ("target_id", "subject_hash"))
    if new:
        of_target = update(TargetRow).where(TargetRow.id == target_id)
        session.execute(of_target.values(entries=TargetRow.entries + new))


def refresh_energies(session: Session, target_id: str) -> None:
    """Has a target's entries tell the energies that are served now."""
    told = (
        select(EnergyRow.document)
        .where(
            EnergyRow.target_id == EntryRow.target_id,
            EnergyRow.subject_hash == EntryRow.subject_hash,
            EnergyRow.served,
        )
        .scalar_subquery()
    )
    session.execute(
        update(EntryRow)
        .where(
            EntryRow.target_id == target_id,
            func.coalesce(EntryRow.energy, "") != func.coalesce(told, ""),
        )
        .values(energy=told)
        .execution_options(synchronize_session=False)
    )


def delete_derived(session: Session, target_ids: Collection[str]) -> None:
    """Forgets what was derived; other entries have no visits to be derived from again.

    The transaction holds the targets' locks.
    """
    for table in (DeviceEstimateRow, InNetworkEstimateRow, ProfiledNetworkRow):
        session.execute(delete(table).where(table.target_id.in_(target_ids)))
    derived = (EntryRow.target_id.in_(target_ids), EntryRow.method.not_in(_NOT_DERIVED))
    session.execute(delete(EntryRow).where(*derived))
    counted = select(func.count()).select_from(EntryRow).where(EntryRow.target_id == TargetRow.id)
    of_targets = update(TargetRow).where(TargetRow.id.in_(target_ids))
    session.execute(of_targets.values(entries=counted.scalar_subquery()))


def count_derived_entries(session: Session) -> int:
    """How many entries there are that visits say."""
    derived = select(func.count()).select_from(EntryRow)
    return session.scalar(derived.where(EntryRow.method.not_in(_NOT_DERIVED))) or 0
