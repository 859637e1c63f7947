"""Old entries are measured again, and a table that is no longer true raises the alarm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from netspec.wire import VisitBatch
from profiler_server.drift.service import JOB_NAME, Recheck, recheck
from profiler_server.events import repository as events
from profiler_server.events.tables import EventKind
from profiler_server.kit.database import Database
from profiler_server.kit.pages import PageRequest
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

OPERATORS = farm.blocks(120)
TARGET = farm.identity().id


def work(api: Api, device: str, ms: float, at: datetime | None = None) -> int:
    """Measures all there is; how many subjects it was."""
    lease = api.claim(device)
    rounds = lease.tasks[0].visits
    batch = farm.visits(
        lease, device, rounds=rounds, ms={task.subject.name: ms for task in lease.tasks}
    )
    changed = {} if at is None else {"started_at": at}
    visits = tuple(visit.model_copy(update=changed) for visit in batch.visits)
    api.upload(VisitBatch(visits=visits))
    api.release(lease)
    return len(lease.tasks)


@pytest.fixture
def device(api: Api) -> str:
    """A device with a table of 120 operators of 1 ms each, measured long ago."""
    registered = api.register(farm.registration()).id
    api.file(farm.job(OPERATORS, rounds=5))
    assert work(api, registered, 1.0) == 120
    return registered


def again(database: Database, settings: Settings) -> Recheck:
    with database.write() as session:
        (done,) = recheck(session, settings)
    assert done.target_id == TARGET
    return done


def alarms(database: Database) -> list[str]:
    asked = PageRequest(limit=10, cursor=None)
    with database.read() as session:
        found = events.events(
            session,
            job_id=None,
            device_id=None,
            kind=EventKind.TARGET_DRIFTED,
            newest_first=False,
            asked=asked,
        )
    return [row.data for row in found.items]


@pytest.mark.parametrize(("ms", "is_alarming"), [(1.0, False), (1.1, True)])
def test_a_fiftieth_a_day_is_measured_again_and_compared(
    api: Api, database: Database, settings: Settings, device: str, ms: float, is_alarming: bool
) -> None:
    first = again(database, settings)
    assert (first.state, first.filed, first.found) == ("filed", 3, None)
    assert again(database, settings).state == "waiting"
    job = api.call("GET", "/v1/jobs").json()[0]
    assert (job["name"], job["tasks"]) == (JOB_NAME, 3)
    assert work(api, device, ms, datetime.now(UTC)) == 3
    second = again(database, settings)
    assert (second.state, second.filed) == ("filed", 3)
    assert second.found is not None
    assert second.found.looks == 3
    assert second.found.median_percent == pytest.approx(100 * (ms - 1))
    assert second.found.is_alarming == is_alarming
    told = alarms(database)
    assert len(told) == int(is_alarming)
    if is_alarming:
        assert TARGET in told[0]
        assert "+10.0" in told[0]


def test_young_entries_are_left_alone(api: Api, database: Database, settings: Settings) -> None:
    device = api.register(farm.registration()).id
    assert again(database, settings).state == "nothing due"
    api.file(farm.job(OPERATORS[:3], rounds=1))
    work(api, device, 1.0, datetime.now(UTC))
    assert again(database, settings).state == "nothing due"
