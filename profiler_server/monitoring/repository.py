"""SQL of the farm's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    DateTime,
    Integer,
    String,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from profiler_server.devices.rows import DeviceTargetRow
from profiler_server.drift.rows import VerdictRow
from profiler_server.jobs.rows import JobRow, TaskRow, TaskState
from profiler_server.kit.sql.database import DatabaseNow
from profiler_server.leases.rows import LeaseRow


@dataclass(frozen=True)
class Queue:
    """What waits for the devices of a target."""

    target_id: str
    tasks: int
    #: since the oldest of their jobs was filed
    oldest_s: float


@dataclass(frozen=True)
class FarmFigures:
    """The farm's figures at one moment."""

    queues: Sequence[Queue]
    #: leases by state
    leases: dict[str, int]
    #: of the targets that were rechecked: whether their tables are no longer true
    drifted: dict[str, bool]


def farm(session: Session) -> FarmFigures:
    """The figures, in one query."""
    clock = select(
        literal("now").label("what"),
        literal("").label("which"),
        literal(0).label("number"),
        DatabaseNow().label("oldest"),
    )
    queued = (
        select(literal("queued"), TaskRow.target_id, func.count(), func.min(JobRow.created_at))
        .join(JobRow, JobRow.id == TaskRow.job_id)
        .where(TaskRow.state == TaskState.QUEUED)
        .group_by(TaskRow.target_id)
    )
    leases = select(
        literal("lease"),
        cast(LeaseRow.state, String),
        func.count(),
        cast(null(), DateTime(timezone=True)),
    ).group_by(LeaseRow.state)
    drifted = select(
        literal("drifted"),
        VerdictRow.target_id,
        cast(VerdictRow.is_alarming, Integer),
        cast(null(), DateTime(timezone=True)),
        # What no device measures any more cannot be put right.
    ).where(exists().where(DeviceTargetRow.target_id == VerdictRow.target_id))
    rows = session.execute(union_all(clock, queued, leases, drifted)).all()
    (now,) = (row.oldest for row in rows if row.what == "now")
    return FarmFigures(
        queues=[
            Queue(row.which, row.number, max(0.0, (now - row.oldest).total_seconds()))
            for row in rows
            if row.what == "queued"
        ],
        leases={row.which: row.number for row in rows if row.what == "lease"},
        drifted={row.which: bool(row.number) for row in rows if row.what == "drifted"},
    )
