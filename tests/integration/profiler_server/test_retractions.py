"""Visits that are taken back are kept, marked, and in nothing that is made of visits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from netspec.wire import (
    Entry,
    EntryDetail,
    Event,
    Lease,
    Retraction,
    Snapshot,
    StoredVisit,
    VisitBatch,
)
from profiler_server.auth.scopes import Scope
from profiler_server.cli import app
from profiler_server.entries import derivation
from profiler_server.entries.rows import VisitRow
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.derived_rows import derived
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
BLOCKS = farm.blocks(2)
WHY = "its heat sink is cracked"


def retract(api: Api, **choice: object) -> Retraction:
    return read(Retraction, api.call("POST", "/v1/visits:retract", {**choice, "reason": WHY}))


def measured(api: Api, serial: str, ms: float, *, publish: bool = False) -> tuple[str, Lease]:
    """A device that has visited the blocks twice."""
    device = api.register(farm.registration(serial)).id
    api.file(farm.job(BLOCKS, remeasure=True, name=serial))
    lease = api.claim(device)
    taken = {block.key: ms for block in BLOCKS}
    assert api.upload(farm.visits(lease, device, rounds=2, ms=taken)) == ["stored"] * 4
    api.release(lease)
    if publish:
        api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201)
    return device, lease


def entry(api: Api, index: int = 0) -> Entry:
    path = f"/v1/targets/{TARGET}/entries/{BLOCKS[index].content_hash}"
    return read(EntryDetail, api.call("GET", path)).entry


def visits(api: Api) -> list[StoredVisit]:
    path = f"/v1/targets/{TARGET}/entries/{BLOCKS[0].content_hash}/visits"
    return [StoredVisit.model_validate(one) for one in api.call("GET", path).json()]


def test_a_devices_visits_are_taken_back(api: Api, database: Database) -> None:
    measured(api, "S1", 1.0)
    before = derived(database)
    broken, _ = measured(api, "S2", 2.0)
    assert entry(api).held_back
    retraction = retract(api, device_id=broken)
    assert (retraction.visits, retraction.by, retraction.reason) == (4, "test", WHY)
    assert derived(database) == before
    assert entry(api).value_ms == 1.0
    marked = [one for one in visits(api) if one.retraction is not None]
    assert [one.retraction for one in marked] == [retraction] * 2
    assert {one.visit.device_id for one in marked} == {broken}
    assert len(visits(api)) == 4
    listed = api.call("GET", "/v1/retractions").json()
    assert [Retraction.model_validate(one) for one in listed] == [retraction]
    events = api.call("GET", "/v1/events?kind=visits_retracted").json()
    (event,) = (Event.model_validate(one) for one in events)
    assert event.data == {"retraction_id": retraction.id, "visits": 4}
    with database.write() as session:
        derivation.rederive(session)
    assert derived(database) == before


def test_a_later_upload_does_not_bring_them_back(api: Api) -> None:
    device, lease = measured(api, "S1", 1.0)
    retract(api, lease_id=lease.id)
    late = farm.visit(lease.tasks[0], lease, device, ms=3.0)
    assert api.upload(VisitBatch(visits=(late,))) == ["stored"]
    found = entry(api, BLOCKS.index(lease.tasks[0].subject.operator))  # type: ignore[union-attr]
    assert (found.value_ms, found.visits) == (3.0, 1)


def test_snapshots_that_may_hold_them_are_withdrawn(api: Api) -> None:
    latest = f"/v1/targets/{TARGET}/snapshots/latest"
    measured(api, "S1", 1.0, publish=True)
    good = read(Snapshot, api.call("GET", latest))
    wrong, _ = measured(api, "S2", 1.04, publish=True)
    bad = read(Snapshot, api.call("GET", latest))
    assert bad.id != good.id
    retract(api, device_id=wrong)
    assert read(Snapshot, api.call("GET", f"{latest}?format=json")).id == good.id
    # It stays what it was for whoever has its id.
    assert read(Snapshot, api.call("GET", f"/v1/snapshots/{bad.id}")) == bad
    retract(api, target_id=TARGET)
    api.problem("GET", latest, status=404, kind="unknown-snapshot")
    (target,) = api.call("GET", "/v1/targets").json()
    assert target["entries"] == 0


def test_a_snapshot_published_anew_keeps_the_networks_it_is_calibrated_on(api: Api) -> None:
    networks = [farm.network([3], "three"), farm.network([6], "six"), farm.network([3, 6], "both")]
    operators = {one for network in networks for one in network.operators}

    def measure(serial: str, ms: float) -> str:
        device = api.register(farm.registration(serial)).id
        api.file(farm.job(operators, networks=networks, rounds=1, remeasure=True))
        taken = {"three": 5.0 * ms, "six": 5.5 * ms, "both": 7.0 * ms}
        api.upload(farm.visits(api.claim(device), device, rounds=1, ms=taken))
        return device

    measure("S1", 1.0)
    other = measure("S2", 1.01)
    chosen = {"calibrate_on": [one.content_hash for one in networks[:2]]}
    api.call("POST", f"/v1/targets/{TARGET}/snapshots", chosen, status=201)
    retract(api, device_id=other)
    snapshot = read(Snapshot, api.call("GET", f"/v1/targets/{TARGET}/snapshots/latest"))
    (calibration,) = snapshot.calibrations
    assert {one.name: one.measured_ms for one in calibration.networks} == {"three": 5.0, "six": 5.5}


@pytest.mark.parametrize("by", ["token_id", "job_id", "lease_id", "since", "until"])
def test_visits_are_chosen_by_what_they_have_in_common(
    api: Api, make_token: Callable[..., str], database: Database, by: str
) -> None:
    agent = Api(api.http, make_token(Scope.AGENT))
    first, _ = measured(api, "S1", 1.0)
    with database.write() as session:
        yesterday = database_now(session) - timedelta(days=1)
        session.execute(update(VisitRow).values(stored_at=yesterday))
    device = agent.register(farm.registration("S2")).id
    job = api.file(farm.job(BLOCKS, remeasure=True))
    lease = agent.claim(device)
    agent.upload(farm.visits(lease, device, rounds=2))
    with database.read() as session:
        stored = session.execute(select(VisitRow.device_id, VisitRow.token_id, VisitRow.stored_at))
        rows = {row.device_id: row for row in stored}
    between = (rows[device].stored_at - timedelta(hours=1)).isoformat()
    choices = {
        "token_id": {"token_id": rows[device].token_id},
        "job_id": {"job_id": job.id},
        "lease_id": {"lease_id": lease.id},
        "since": {"since": between},
        "until": {"until": between},
    }
    assert retract(api, **choices[by]).visits == 4
    expected = first if by == "until" else device
    assert {one.visit.device_id for one in visits(api) if one.retraction} == {expected}


def test_an_older_visit_is_of_its_devices_token(
    api: Api, make_token: Callable[..., str], database: Database
) -> None:
    agent = Api(api.http, make_token(Scope.AGENT))
    device = agent.register(farm.registration("S2")).id
    api.file(farm.job(BLOCKS))
    agent.upload(farm.visits(agent.claim(device), device, rounds=1))
    with database.write() as session:
        token_id = session.scalars(select(VisitRow.token_id)).first()
        session.execute(update(VisitRow).values(token_id=None))
    assert retract(api, token_id=token_id).visits == 2


def test_open_tasks_want_them_again(api: Api) -> None:
    device = api.register(farm.registration()).id
    job = api.file(farm.job(BLOCKS, rounds=3))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    assert api.job(job.id).visits_done == 4
    retract(api, device_id=device)
    assert api.job(job.id).visits_done == 0
    # What a job filed now would reuse is not there either.
    assert api.file(farm.job(BLOCKS, rounds=2)).reused == 0


def test_profiles_are_taken_back_with_their_visits(api: Api) -> None:
    network = farm.network([2, 3])
    values = []
    for serial, us in (("S1", 100.0), ("S2", 104.0)):
        methods: dict[str, Any] = {"methods": ("isolated", "in_network")}
        registration = farm.registration(serial).model_copy(update=methods)
        device = api.register(registration).id
        api.file(farm.job(networks=(network,), method="in_network", remeasure=True))
        lease = api.claim(device)
        batch = farm.visits(lease, device, rounds=2).model_dump(mode="json")
        for one in batch["visits"]:
            times = [us] * len(network.operators)
            one["profile"] = {"operators_us": times, "statistic": "p5", "count": 5}
        api.upload(VisitBatch.model_validate(batch))
    key = network.operators[0].key

    def value() -> float:
        answer = api.call("GET", f"/v1/targets/{TARGET}/latency?key={key}").json()
        return float(answer["value_ms"])

    values.append(value())
    retract(api, device_id=device)
    values.append(value())
    assert values == [pytest.approx(0.102), pytest.approx(0.1)]


def test_only_an_admin_takes_back_and_only_what_is_there(
    api: Api, make_token: Callable[..., str]
) -> None:
    device, _ = measured(api, "S1", 1.0)
    path, body = "/v1/visits:retract", {"device_id": device, "reason": WHY}
    for scope in (Scope.AGENT, Scope.JOBS_WRITE, Scope.TABLES_READ):
        other = Api(api.http, make_token(scope))
        other.problem("POST", path, body, status=403, kind="missing-scope")
    for wrong in ({"reason": WHY}, {"device_id": device}, {"device_id": device, "reason": ""}):
        api.problem("POST", path, wrong, status=422, kind="invalid-request")
    retract(api, device_id=device)
    api.problem("POST", path, body, status=404, kind="no-such-visits")


def test_the_command_takes_back_beside_the_server(api: Api, database_url: str) -> None:
    device, _ = measured(api, "S1", 1.0)
    command = ["retract", "--database-url", database_url, "--device", device, "--reason", WHY]
    done = CliRunner().invoke(app, [*command, "--since", "2020-01-01"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "4 visits are taken back" in done.output
    assert {one.retraction.by for one in visits(api) if one.retraction} == {
        "profiler-server retract"
    }
