"""What the farm's page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import Conditions
from profiler_server.dashboard.views import farm_repository as repository
from profiler_server.dashboard.views.devices import serving
from profiler_server.dashboard.views.devices.serving import WaitingJob
from profiler_server.dashboard.views.farm_repository import (
    AgentCount,
    DeviceState,
    LastVisit,
    LeasedBatch,
)
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page, PageRequest

#: agents on the page; those of a greater farm are found by filtering
MOST_AGENTS = 50


@dataclass(frozen=True)
class Observed:
    """A device at its last visit; the server hears of its conditions with visits alone."""

    at: datetime
    cpu_celsius: float | None
    battery_celsius: float | None
    battery_percent: float | None


@dataclass(frozen=True)
class DeviceLine:
    """A device on the page."""

    id: str
    agent: str
    serial: str
    state: DeviceState
    #: why it is in that state, if somebody said so
    reason: str
    rests_until: datetime | None
    last_seen: datetime
    labels: Mapping[str, str]
    #: its targets' ids and what they are, for people
    targets: Sequence[tuple[str, str]]
    #: of the lease that it has, one for each job
    batches: Sequence[LeasedBatch]
    observed: Observed | None


@dataclass(frozen=True)
class FarmView:
    """The page."""

    now: datetime
    counts: Mapping[DeviceState, int]
    agents: Sequence[AgentCount]
    agent_count: int
    devices: Page[DeviceLine]
    #: that wait for what no device serves
    waiting: Sequence[WaitingJob]


def read(
    session: Session, page_request: PageRequest, *, agent: str | None, state: DeviceState | None
) -> FarmView:
    """The farm, with one page of its devices.

    Args:
        session: a transaction.
        page_request: which page of devices.
        agent: only its devices; None: of all.
        state: only devices in it; None: in any.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    now = database_now(session)
    page = repository.devices(session, now, page_request, agent=agent, state=state)
    return FarmView(
        now=now,
        counts=repository.state_counts(session, now),
        agents=repository.agents(session, now, MOST_AGENTS),
        agent_count=repository.count_agents(session),
        devices=page.with_items(lines(session, page.items, now)),
        waiting=serving.waiting_jobs(session, now),
    )


def lines(
    session: Session, rows: Sequence[tuple[DeviceRow, DeviceState]], now: datetime
) -> list[DeviceLine]:
    """Devices with what they do."""
    ids = [row.id for row, _ in rows]
    target_ids = devices.target_ids_of(session, ids)
    known = repository.identities(session, {one for of in target_ids.values() for one in of})
    labels = {
        target_id: TargetIdentity.model_validate_json(identity).label
        for target_id, identity in known.items()
    }
    batches: dict[str, list[LeasedBatch]] = {}
    for batch in repository.batches(session, ids, now):
        batches.setdefault(batch.device_id, []).append(batch)
    visits = {visit.device_id: visit for visit in repository.last_visits(session, ids)}
    return [
        DeviceLine(
            id=row.id,
            agent=row.agent,
            serial=row.serial,
            state=state,
            reason=row.quarantine_reason,
            rests_until=row.rests_until if state is DeviceState.RESTING else None,
            last_seen=row.last_seen,
            labels=json.loads(row.labels),
            targets=[(one, labels[one]) for one in target_ids.get(row.id, ())],
            batches=batches.get(row.id, ()),
            observed=_observed(visits.get(row.id)),
        )
        for row, state in rows
    ]


def _observed(visit: LastVisit | None) -> Observed | None:
    if visit is None:
        return None
    # The later observation, where there is one.
    observed = {
        **Conditions.model_validate_json(visit.before).model_dump(exclude_none=True),
        **Conditions.model_validate_json(visit.after).model_dump(exclude_none=True),
    }
    return Observed(
        at=visit.started_at,
        cpu_celsius=observed.get("cpu_celsius"),
        battery_celsius=observed.get("battery_celsius"),
        battery_percent=observed.get("battery_percent"),
    )
