"""SQL of the farm's page: as many queries for a thousand devices as for one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, case, exists, func, select
from sqlalchemy.orm import Session

from profiler_server.devices.repository import is_heard
from profiler_server.devices.rows import DeviceRow, DeviceTargetRow, TargetRow
from profiler_server.entries.rows import VisitRow
from profiler_server.jobs.rows import JobRow, JobTargetRow, TaskRow, TaskState
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.kit.sql.reach import Selected, narrowed
from profiler_server.leases.rows import LeaseRow, LeaseState
from profiler_server.reach.conditions import of_devices, of_jobs


class DeviceState(StrEnum):
    """What a device does."""

    #: it gets no work until it is released
    QUARANTINED = "quarantined"
    #: its agent has missed two renewals, or has hung up while it waited for work
    SILENT = "silent"
    #: it has a lease that lives
    MEASURING = "measuring"
    #: after leases that brought no visit it gets no work for a while
    RESTING = "resting"
    #: it waits for work
    IDLE = "idle"


@dataclass(frozen=True)
class AgentCount:
    """An agent and how many devices it has."""

    agent: str
    devices: int
    #: in quarantine
    quarantined: int
    #: those that are silent
    silent: int
    #: when it spoke last
    last_seen: datetime


@dataclass(frozen=True)
class LeasedBatch:
    """What a device's lease has of one job."""

    device_id: str
    job_id: str
    job_name: str
    claimed_at: datetime
    tasks: int
    #: not closed yet
    open_tasks: int


@dataclass(frozen=True)
class LastVisit:
    """What was observed around a device's last visit."""

    device_id: str
    started_at: datetime
    #: `Conditions` as JSON
    before: str
    after: str


def state_counts(session: Session, now: datetime) -> dict[DeviceState, int]:
    """How many devices do what."""
    state = _state(now).label("state")
    rows = session.execute(_seen(session, select(state, func.count()).group_by(state)))
    return dict.fromkeys(DeviceState, 0) | {DeviceState(row[0]): row[1] for row in rows}


def agents(session: Session, now: datetime, most: int) -> Sequence[AgentCount]:
    """The first agents by name."""
    quarantined = func.count(DeviceRow.quarantined_at)
    silent = func.sum(case((is_heard(now), 0), else_=1))
    counted = (
        select(DeviceRow.agent, func.count(), quarantined, silent, func.max(DeviceRow.last_seen))
        .group_by(DeviceRow.agent)
        .order_by(DeviceRow.agent)
        .limit(most)
    )
    return [AgentCount(*row) for row in session.execute(_seen(session, counted))]


def count_agents(session: Session) -> int:
    """How many agents have devices."""
    counted = select(func.count(DeviceRow.agent.distinct()))
    return session.scalar(_seen(session, counted)) or 0


def devices(
    session: Session,
    now: datetime,
    page_request: PageRequest,
    *,
    agent: str | None,
    state: DeviceState | None,
) -> Page[tuple[DeviceRow, DeviceState]]:
    """Devices of an agent that do something, by agent and serial; None: of any, anything."""
    does = _state(now)
    query = _seen(session, select(DeviceRow, does.label("state")))
    if agent is not None:
        query = query.where(DeviceRow.agent == agent)
    if state is not None:
        query = query.where(does == state.value)
    page = read_page(session, query, (DeviceRow.agent, DeviceRow.serial), page_request)
    return page.with_items([(row[0], DeviceState(row[1])) for row in page.items])


def in_state(
    session: Session, now: datetime, device_id: str
) -> tuple[DeviceRow, DeviceState] | None:
    """One device and what it does."""
    query = select(DeviceRow, _state(now).label("state")).where(DeviceRow.id == device_id)
    row = session.execute(query).one_or_none()
    return None if row is None else (row[0], DeviceState(row[1]))


def of_targets(
    session: Session, now: datetime, target_ids: Collection[str], most: int
) -> dict[str, list[tuple[DeviceRow, DeviceState]]]:
    """The first devices of targets, by serial, with what they do."""
    found: dict[str, list[tuple[DeviceRow, DeviceState]]] = {}
    measuring = (
        select(DeviceTargetRow.target_id, DeviceRow, _state(now).label("state"))
        .join(DeviceRow, DeviceRow.id == DeviceTargetRow.device_id)
        .where(DeviceTargetRow.target_id.in_(target_ids))
        .order_by(DeviceRow.serial, DeviceRow.id)
        .limit(most)
    )
    for target_id, row, state in session.execute(_seen(session, measuring)):
        found.setdefault(target_id, []).append((row, DeviceState(state)))
    return found


def unserved_jobs(session: Session, now: datetime, most: int) -> Sequence[tuple[str, str, str]]:
    """The first open jobs that wait for a target which no device serves: id, name and target."""
    serves = exists().where(
        DeviceTargetRow.target_id == JobTargetRow.target_id,
        DeviceRow.id == DeviceTargetRow.device_id,
        DeviceRow.quarantined_at.is_(None),
        is_heard(now),
    )
    waiting = (
        select(JobRow.id, JobRow.name, JobTargetRow.target_id)
        .join(JobRow, JobRow.id == JobTargetRow.job_id)
        .where(JobTargetRow.open_tasks > 0, JobRow.cancelled_at.is_(None), ~serves)
        .order_by(JobRow.created_at, JobRow.id, JobTargetRow.target_id)
        .limit(most)
    )
    rows = session.execute(narrowed(session, waiting, of_jobs(JobRow.id)))
    return [(row[0], row[1], row[2]) for row in rows]


def batches(session: Session, device_ids: Collection[str], now: datetime) -> Sequence[LeasedBatch]:
    """What the devices have in their hands."""
    open_tasks = func.sum(case((TaskRow.state == TaskState.LEASED, 1), else_=0))
    leased = (
        select(
            LeaseRow.device_id,
            TaskRow.job_id,
            JobRow.name,
            LeaseRow.claimed_at,
            func.count(),
            open_tasks,
        )
        .join(TaskRow, TaskRow.lease_id == LeaseRow.id)
        .join(JobRow, JobRow.id == TaskRow.job_id)
        .where(LeaseRow.device_id.in_(device_ids), *_lives(now))
        .group_by(LeaseRow.device_id, TaskRow.job_id, JobRow.name, LeaseRow.claimed_at)
        .order_by(LeaseRow.device_id, JobRow.name, TaskRow.job_id)
    )
    seen = narrowed(session, leased, of_jobs(JobRow.id))
    return [LeasedBatch(*row) for row in session.execute(seen)]


def last_visits(session: Session, device_ids: Collection[str]) -> Sequence[LastVisit]:
    """The last visit of each of the devices that has one, by the agent's clock."""
    last = (
        select(VisitRow.id)
        .where(VisitRow.device_id == DeviceRow.id)
        .order_by(VisitRow.started_at.desc())
        .limit(1)
        .correlate(DeviceRow)
        .scalar_subquery()
    )
    rows = session.execute(
        select(VisitRow.device_id, VisitRow.started_at, VisitRow.before, VisitRow.after).where(
            VisitRow.id.in_(select(last).where(DeviceRow.id.in_(device_ids)))
        )
    )
    return [LastVisit(*row) for row in rows]


def identities(session: Session, target_ids: Collection[str]) -> dict[str, str]:
    """What the targets are, as JSON."""
    rows = session.execute(
        select(TargetRow.id, TargetRow.identity).where(TargetRow.id.in_(target_ids))
    )
    return dict(rows.all())


def _seen(session: Session, rows: Select[*Selected]) -> Select[*Selected]:
    """Of rows of devices those that the one may see for whom the transaction is."""
    return narrowed(session, rows, of_devices(DeviceRow.id))


def _lives(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return LeaseRow.state == LeaseState.LIVE, LeaseRow.expires_at > now


def _state(now: datetime) -> ColumnElement[str]:
    measures = exists().where(LeaseRow.device_id == DeviceRow.id, *_lives(now))
    return case(
        (DeviceRow.quarantined_at.is_not(None), DeviceState.QUARANTINED.value),
        (~is_heard(now), DeviceState.SILENT.value),
        (measures, DeviceState.MEASURING.value),
        (DeviceRow.rests_until > now, DeviceState.RESTING.value),
        else_=DeviceState.IDLE.value,
    )
