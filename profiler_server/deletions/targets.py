"""Deleting a target that nothing was measured on: a wrong import, or a mistaken registration."""

from __future__ import annotations

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from profiler_server.auth.ownership import require_owner
from profiler_server.auth.service import Principal
from profiler_server.devices.rows import DeviceTargetRow, TargetRow
from profiler_server.devices.service import require_target
from profiler_server.energies.rows import EnergyMeasurementRow
from profiler_server.entries.rows import EntryRow, VisitRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs.rows import JobRow, TaskRow
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables.rows import ImportRow, SnapshotCalibrationsRow, SnapshotRow

#: what keeps a target, in the order in which it is named
_USES = (
    ("visits, which are never deleted but can be taken back", VisitRow.target_id),
    ("measurements of energy", EnergyMeasurementRow.target_id),
    ("a device that measures it", DeviceTargetRow.target_id),
    ("jobs", JobRow.target_id),
    ("tasks of jobs", TaskRow.target_id),
)


def delete_target(session: Session, target_id: str, who: Principal) -> None:
    """Deletes a target with its entries, all imported or filled in, and its snapshots.

    Raises:
        Problem: `unknown-target`, `not-the-owner`, or `target-in-use`: something was or is to be
            measured on it.
    """
    row = require_target(session, target_id)
    require_owner(who, row.token_id, f"target {target_id}")
    # Nobody may begin to refer to it meanwhile.
    session.execute(select(TargetRow.id).where(TargetRow.id == target_id).with_for_update())
    uses = [
        name
        for name, column in _USES
        if session.scalar(select(exists().where(column == target_id)))
    ]
    if uses:
        raise Problem(
            "target-in-use",
            f"target {target_id} has {', '.join(uses)}; only one on which nothing was or is to be "
            "measured can be deleted, such as an imported table",
        )
    own = select(SnapshotRow.id).where(SnapshotRow.target_id == target_id)
    calibrations = delete(SnapshotCalibrationsRow)
    session.execute(calibrations.where(SnapshotCalibrationsRow.snapshot_id.in_(own)))
    for table in (SnapshotRow, EntryRow, ImportRow):
        session.execute(delete(table).where(table.target_id == target_id))
    session.execute(delete(TargetRow).where(TargetRow.id == target_id))
    now, by = database_now(session), who.token_id
    events.append(session, now, EventKind.TARGET_DELETED, target_id=target_id, by=by)
