"""What a job would come to, before it is filed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from netspec.protocol import MeasurementProtocol
from netspec.wire import EnergyRequest, Job, JobRequest
from profiler_server.dashboard.views import farm_repository
from profiler_server.dashboard.views.devices.serving import Unserved, unserved
from profiler_server.dashboard.views.farm_repository import DeviceState
from profiler_server.devices.rows import DeviceRow
from profiler_server.entries.rows import VisitRow
from profiler_server.jobs import service
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.subjects.rows import SubjectRow

_MS_PER_S = 1_000
#: of each device, whose pace is looked at
_NEWEST_VISITS = 30
_MOST_DEVICES = 20
#: a longer pause (s) between two visits was none of measuring
_LONGEST_VISIT_S = 120.0
#: a visit's time over its warm-up and runs, where no visit tells: starting, gate and anchor
_AROUND_RUNS = 2.0


@dataclass(frozen=True)
class JobEstimate:
    """What a job would come to."""

    now: datetime
    job: Job
    #: how many subjects there are of each kind
    subjects: Mapping[str, int]
    #: visits that are to be made
    visits: int
    #: devices that would share them
    devices: int
    #: how long (s) that takes; None: no device tells
    seconds: float | None
    #: whether earlier visits tell, and not the protocol
    is_measured: bool
    #: of the targets that no device serves: what would
    unserved: Mapping[str, Unserved]


class _NotFiled(Exception):
    """Takes back what was filed to see what it comes to."""

    def __init__(self, estimate: JobEstimate) -> None:
        super().__init__()
        self.estimate = estimate


def estimate(
    database: Database, settings: Settings, request: JobRequest, token_id: str
) -> JobEstimate:
    """What a job would come to: it is filed, looked at, and taken back before anybody sees it.

    Raises:
        Problem: as `service.create` does.
    """
    try:
        with database.write() as session:
            job = service.create(session, settings, request, token_id)
            raise _NotFiled(_estimate(session, job, request.energy))  # noqa: TRY301 - rolls back
    except _NotFiled as taken_back:
        return taken_back.estimate


def _estimate(session: Session, job: Job, energy: EnergyRequest | None) -> JobEstimate:
    now = database_now(session)
    devices = [
        row
        for of_target in farm_repository.of_targets(
            session, now, job.target_ids, _MOST_DEVICES
        ).values()
        for row, state in of_target
        if state not in (DeviceState.QUARANTINED, DeviceState.SILENT)
    ]
    visits = job.visits - job.visits_done
    paces = [pace for row in devices if (pace := _pace_s(session, row)) is not None]
    each_s = median(paces) if paces else _by_protocol_s(devices)
    if energy is not None:
        paces, each_s = [], _of_windows_s(energy) if devices else None
    seconds = None if each_s is None else visits * each_s / len(devices)
    return JobEstimate(
        now=now,
        job=job,
        subjects=_subjects(session, job.id),
        visits=visits,
        devices=len(devices),
        seconds=seconds,
        is_measured=bool(paces),
        unserved=unserved(session, now, job.unserved),
    )


def _subjects(session: Session, job_id: str) -> dict[str, int]:
    rows = session.execute(
        select(SubjectRow.kind, func.count(SubjectRow.hash.distinct()))
        .join(TaskRow, TaskRow.subject_hash == SubjectRow.hash)
        .where(TaskRow.job_id == job_id)
        .group_by(SubjectRow.kind)
        .order_by(SubjectRow.kind)
    )
    return dict(rows.all())


def _pace_s(session: Session, device: DeviceRow) -> float | None:
    """How long (s) after each other a device's last visits began; None: it has too few."""
    starts = session.scalars(
        select(VisitRow.started_at)
        .where(VisitRow.device_id == device.id)
        .order_by(VisitRow.started_at.desc())
        .limit(_NEWEST_VISITS)
    ).all()
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(starts)]
    kept = [gap for gap in gaps if 0 < gap < _LONGEST_VISIT_S]
    return median(kept) if kept else None


def _of_windows_s(energy: EnergyRequest) -> float:
    """How long (s) the windows of a subject take at least: of idling, a brief and a long launch."""
    return (3 * energy.windows + 1) * energy.seconds


def _by_protocol_s(devices: Sequence[DeviceRow]) -> float | None:
    if not devices:
        return None
    protocol = MeasurementProtocol.model_validate_json(devices[0].protocol)
    return _AROUND_RUNS * (protocol.warmup_ms + protocol.measure_ms) / _MS_PER_S
