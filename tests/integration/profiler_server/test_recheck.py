"""Old entries are measured again, and a table that is no longer true raises the alarm."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from netspec.networks import Network
from netspec.operators import Operator
from netspec.spaces import Space
from netspec.wire import Lease, PublishRequest, VisitBatch
from profiler_server import cli
from profiler_server.drift import verdicts
from profiler_server.drift.service import JOB_NAME, Recheck, recheck
from profiler_server.events import service as events
from profiler_server.events.repository import EventsQuery
from profiler_server.events.rows import EventKind
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api

OPERATORS = farm.blocks(120)
TARGET = farm.identity().id
SPACE = Space(input_size=32, width=0.25, classes=10)
NETWORKS = tuple(SPACE.network([at] * 21, f"net{at}") for at in range(6))


def work(
    api: Api, device: str, took_ms: Callable[[str], float], at: datetime | None = None
) -> Lease:
    """Measures all there is, by the subjects' names."""
    lease = api.claim(device)
    rounds = lease.tasks[0].visits
    ms = {task.subject.name: took_ms(task.subject.name) for task in lease.tasks}
    batch = farm.visits(lease, device, rounds=rounds, ms=ms)
    changed = {} if at is None else {"started_at": at}
    visits = tuple(visit.model_copy(update=changed) for visit in batch.visits)
    api.upload(VisitBatch(visits=visits))
    api.release(lease)
    return lease


@pytest.fixture
def device(api: Api) -> str:
    return api.register(farm.registration()).id


def measure_all(
    api: Api, device: str, operators: tuple[Operator, ...], networks: tuple[Network, ...] = ()
) -> None:
    """Every operator took 1 ms long ago, every network the sum of its own."""
    api.file(farm.job(operators, networks=networks, rounds=5))
    sums = {one.name: float(len(one.operators)) for one in networks}
    work(api, device, lambda name: sums.get(name, 1.0))


def again(database: Database, settings: Settings, target_id: str = TARGET) -> Recheck:
    with database.write() as session:
        return recheck(session, settings, target_id)


def alarms(database: Database) -> list[dict[str, str | int]]:
    with database.read() as session:
        page = events.list_events(session, EventsQuery(kind=(EventKind.TARGET_DRIFTED,)))
    return [one.data for one in page.items]


def is_drifted(api: Api) -> bool:
    """What Prometheus is told of the target."""
    (value,) = re.findall(
        rf'profiler_target_drifted{{target="{TARGET}"}} (.*)', api.call("GET", "/metrics").text
    )
    return float(value) == 1


@pytest.mark.parametrize(("ms", "is_alarming"), [(1.0, False), (1.1, True)])
def test_a_fiftieth_a_day_is_measured_again_and_compared(
    api: Api, database: Database, settings: Settings, device: str, ms: float, is_alarming: bool
) -> None:
    measure_all(api, device, OPERATORS)
    first = again(database, settings)
    assert (first.state, first.filed, first.found) == ("filed", 3, None)
    assert again(database, settings).state == "waiting"
    job = api.call("GET", "/v1/jobs").json()[0]
    assert (job["name"], job["tasks"]) == (JOB_NAME, 3)
    assert len(work(api, device, lambda _: ms, datetime.now(UTC)).tasks) == 3
    second = again(database, settings)
    assert (second.state, second.filed) == ("filed", 3)
    assert second.found is not None
    assert second.found.drift is not None
    assert second.found.drift.looks == 3
    assert second.found.drift.median_percent == pytest.approx(100 * (ms - 1))
    assert second.found.is_alarming == is_alarming == is_drifted(api)
    told = alarms(database)
    assert len(told) == int(is_alarming)
    if is_alarming:
        assert (told[0]["target_id"], told[0]["job_id"]) == (TARGET, job["id"])
        assert str(told[0]["found"]).startswith(
            "median +10.0 % over 3 looks, worst +10.0 % (mbconv"
        )


@pytest.mark.one_database
def test_an_alarm_ends_when_the_next_recheck_finds_nothing(
    api: Api, database: Database, settings: Settings, device: str
) -> None:
    measure_all(api, device, OPERATORS)
    for ms, drifted in ((1.1, True), (1.0, False)):
        again(database, settings)
        work(api, device, lambda _, ms=ms: ms, datetime.now(UTC))  # type: ignore[misc]
        again(database, settings)
        with database.read() as session:
            assert (verdicts.alarm(session, TARGET) is not None) == drifted
        work(api, device, lambda _: 1.0, datetime.now(UTC))


def test_what_was_found_is_told_once_also_when_nothing_is_due(
    api: Api, database: Database, settings: Settings, device: str
) -> None:
    measure_all(api, device, OPERATORS[:3])
    assert again(database, settings).filed == 3
    work(api, device, lambda _: 1.2, datetime.now(UTC))
    told = again(database, settings)
    assert told.state == "nothing due"
    assert told.found is not None
    assert told.found.is_alarming
    assert again(database, settings) == Recheck(TARGET, "nothing due", 0, None)
    assert len(alarms(database)) == 1


def test_predictions_that_have_become_worse_raise_the_alarm(
    api: Api, database: Database, settings: Settings, device: str
) -> None:
    """Operators alone are as they were; inside networks they are not."""
    measure_all(api, device, SPACE.operators(), NETWORKS)
    api.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    assert again(database, settings).filed == 6
    lengths = {one.name: float(len(one.operators)) for one in NETWORKS}
    lease = work(api, device, lambda name: 1.1 * lengths.get(name, 1 / 1.1), datetime.now(UTC))
    assert sum(task.subject.kind == "network" for task in lease.tasks) == 3
    found = again(database, settings).found
    assert found is not None
    assert found.error is not None
    assert found.error.networks == 3
    assert found.error.mape_percent == pytest.approx(100 * (1 - 1 / 1.1), abs=0.1)
    assert found.error.stated_percent < 1
    assert found.error.is_alarming
    assert "predictions of 3 networks are off by 9.1 %" in str(alarms(database)[0]["found"])
    assert is_drifted(api)


def test_a_target_that_an_update_has_left_behind_waits_for_nobody(
    api: Api, make_api: MakeApi, database: Database, settings: Settings, device: str
) -> None:
    measure_all(api, device, OPERATORS)
    again(database, settings)
    work(api, device, lambda _: 1.1, datetime.now(UTC))
    assert again(database, settings).state == "filed"
    assert is_drifted(make_api())
    updated = farm.identity().model_copy(update={"os_build": "QP1A.2"})
    registration = farm.registration().model_copy(update={"targets": (updated,)})
    assert api.register(registration).id == device
    assert again(database, settings).state == "no device"
    assert api.call("GET", "/v1/jobs").json()[0]["state"] == "cancelled"
    assert again(database, settings).state == "no device"
    assert len(api.call("GET", "/v1/jobs").json()) == 3
    # What nobody can put right is no alarm.
    assert f'target="{TARGET}"' not in make_api().call("GET", "/metrics").text


@pytest.mark.usefixtures("device")
def test_young_entries_are_left_alone(api: Api, database: Database, settings: Settings) -> None:
    device = api.register(farm.registration()).id
    assert again(database, settings).state == "nothing due"
    api.file(farm.job(OPERATORS[:3], rounds=1))
    work(api, device, lambda _: 1.0, datetime.now(UTC))
    assert again(database, settings).state == "nothing due"


def test_the_command_goes_through_all_targets(api: Api, settings: Settings, device: str) -> None:
    measure_all(api, device, OPERATORS)
    api.register(farm.registration("S2", "Pixel 2"))
    arguments = ["recheck", "--database-url", settings.database_url]
    said = CliRunner().invoke(cli.app, arguments, catch_exceptions=False).stdout.splitlines()
    assert said == [
        f"{TARGET}: 3 operators and networks are measured again",
        f"{farm.identity('Pixel 2').id}: nothing is due",
    ]
    work(api, device, lambda _: 1.1, datetime.now(UTC))
    said = CliRunner().invoke(cli.app, arguments, catch_exceptions=False).stdout.splitlines()
    assert "DRIFTED: median +10.0 %" in said[0]
