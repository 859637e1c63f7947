from __future__ import annotations

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy import select, update

from netspec.wire import Conditions, EntryDetail, Lease, LeasedTask, StoredVisit, Visit, VisitBatch
from profiler_server.entries import derivation
from profiler_server.entries.rows import DeviceEstimateRow, EntryRow, VisitRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.derived_rows import derived
from tests.integration.profiler_server.service import Api, read

DETAILS = TypeAdapter(list[EntryDetail])
VISITS = TypeAdapter(list[StoredVisit])


@pytest.fixture
def devices(api: Api) -> tuple[str, str]:
    """Two phones of one model."""
    first, second = (api.register(farm.registration(serial)).id for serial in ("S1", "S2"))
    return first, second


@pytest.fixture
def leases(api: Api, devices: tuple[str, str]) -> dict[str, Lease]:
    """Of each device, on the same two operators."""

    def claimed(device: str) -> Lease:
        api.file(farm.job(farm.blocks(2), rounds=50, remeasure=True))
        return api.claim(device)

    return {device: claimed(device) for device in devices}


@pytest.fixture
def lease(leases: dict[str, Lease], devices: tuple[str, str]) -> Lease:
    return leases[devices[0]]


def upload(
    api: Api, leases: dict[str, Lease], task: LeasedTask, device: str, *ms: float
) -> list[Visit]:
    made = [
        farm.visit(task, leases[device], device, ms=one, round_=number)
        for number, one in enumerate(ms)
    ]
    assert set(api.upload(VisitBatch(visits=tuple(made)))) == {"stored"}
    return made


def path(lease: Lease, task: LeasedTask) -> str:
    return f"/v1/targets/{lease.target_id}/entries/{task.subject.content_hash}"


def detail(api: Api, lease: Lease, task: LeasedTask) -> EntryDetail:
    return read(EntryDetail, api.call("GET", path(lease, task)))


def test_an_entry_of_one_device_has_nothing_to_disagree_with(
    api: Api, devices: tuple[str, str], leases: dict[str, Lease], lease: Lease
) -> None:
    task = lease.tasks[0]
    upload(api, leases, task, devices[0], 2.0, 2.0)
    found = detail(api, lease, task)
    assert (found.entry.value_ms, found.entry.devices) == (2.0, 1)
    assert found.entry.disagreement_percent is None
    assert [(one.device_id, one.serial, one.visits) for one in found.devices] == [
        (devices[0], "S1", 2)
    ]
    assert (found.agree, found.rejected_visits) == (True, 0)
    assert api.call("GET", f"/v1/targets/{lease.target_id}/disagreement").json() == []


def test_two_phones_that_disagree_are_both_shown(
    api: Api, devices: tuple[str, str], leases: dict[str, Lease], lease: Lease
) -> None:
    same, other = lease.tasks
    upload(api, leases, same, devices[0], 2.0, 2.0)
    upload(api, leases, same, devices[1], 2.0, 2.0)
    upload(api, leases, other, devices[0], *[2.0] * 10)
    upload(api, leases, other, devices[1], *[3.0] * 10)
    found = detail(api, lease, other)
    assert found.entry.disagreement_percent == pytest.approx(50.0)
    # There is no telling who is right: the middle, and all that was said.
    assert (found.entry.value_ms, found.entry.low_ms, found.entry.high_ms) == (2.5, 2.0, 3.0)
    assert found.entry.held_back
    assert [one.counts for one in found.devices] == [False, False]
    assert (found.entry.visits, found.entry.devices) == (20, 2)
    values = {one.device_id: (one.value_ms, one.low_ms, one.high_ms) for one in found.devices}
    assert values == {devices[0]: (2.0, 2.0, 2.0), devices[1]: (3.0, 3.0, 3.0)}
    assert not found.agree
    assert detail(api, lease, same).agree
    where = f"/v1/targets/{lease.target_id}/disagreement"
    both = DETAILS.validate_json(api.call("GET", where).content)
    assert [one.entry.name for one in both] == sorted(task.subject.name for task in lease.tasks)
    (much,) = DETAILS.validate_json(api.call("GET", f"{where}?at_least_percent=5").content)
    assert much == found


def test_visits_are_listed_with_those_that_were_left_out(
    api: Api, devices: tuple[str, str], leases: dict[str, Lease], lease: Lease
) -> None:
    task = lease.tasks[0]
    good = upload(api, leases, task, devices[0], 1.0, 2.0, 3.0)
    bad = farm.visit(task, lease, devices[0]).model_copy(update={"rejected": "a call came in"})
    api.upload(VisitBatch(visits=(bad,)))
    listed: list[StoredVisit] = []
    where: str | None = f"{path(lease, task)}/visits?limit=3"
    pages = 0
    while where is not None:
        answer = api.call("GET", where)
        listed += VISITS.validate_json(answer.content)
        where = answer.links["next"]["url"] if "next" in answer.links else None
        pages += 1
    assert pages == 2
    by_id = {one.visit.id: one.visit for one in listed}
    assert by_id == {visit.id: visit for visit in (*good, bad)}
    found = detail(api, lease, task)
    assert (found.entry.visits, found.rejected_visits) == (3, 1)


def test_a_visit_under_bad_conditions_is_kept_and_does_not_count(
    api: Api, devices: tuple[str, str], leases: dict[str, Lease], lease: Lease, database: Database
) -> None:
    task = lease.tasks[0]
    hot = farm.visit(task, lease, devices[0], ms=9.0).model_copy(
        update={"after": Conditions(thermal_status=2)}
    )
    assert api.upload(VisitBatch(visits=(hot,))) == ["stored"]
    assert api.upload(VisitBatch(visits=(hot,))) == ["duplicate"]
    api.problem("GET", path(lease, task), status=404, kind="missing-entry")
    upload(api, leases, task, devices[0], 1.0)
    found = detail(api, lease, task)
    assert (found.entry.value_ms, found.entry.visits, found.rejected_visits) == (1.0, 1, 1)
    listed = VISITS.validate_json(api.call("GET", f"{path(lease, task)}/visits").content)
    said = "thermal status 2, more than 0, after the visit"
    assert [one.visit.rejected for one in listed if one.visit.id == hot.id] == [said]
    before = derived(database)
    with database.write() as session:
        derivation.rederive(session)
    assert derived(database) == before


def test_what_is_not_there_is_a_problem(api: Api, devices: tuple[str, str], lease: Lease) -> None:
    assert devices
    where = path(lease, lease.tasks[0])
    assert "POST /v1/jobs" in api.problem("GET", where, status=404, kind="missing-entry")
    assert api.call("GET", f"{where}/visits").json() == []
    nowhere = f"/v1/targets/{'0' * 16}"
    for rest in (f"entries/{'0' * 64}", f"entries/{'0' * 64}/visits", "disagreement"):
        api.problem("GET", f"{nowhere}/{rest}", status=404, kind="unknown-target")


def test_entries_without_samples_are_made_of_all_visits(
    api: Api, devices: tuple[str, str], leases: dict[str, Lease], lease: Lease, database: Database
) -> None:
    """As an older version has left them, or one that runs beside this."""
    task, other = lease.tasks
    for device, ms in zip(devices, (1.0, 3.0), strict=True):
        upload(api, leases, task, device, ms, ms)
        upload(api, leases, other, device, ms)
    with database.write() as session:
        session.execute(update(EntryRow).values(visits=EntryRow.visits + 1))
        session.query(DeviceEstimateRow).delete()
    upload(api, leases, task, devices[0], 2.0)
    upload(api, leases, other, devices[1], 2.0)
    before = derived(database)
    assert detail(api, lease, task).entry.visits == 5
    with database.write() as session:
        assert derivation.rederive(session) == 2
    assert derived(database) == before


@given(
    ms=st.lists(st.floats(0.01, 50.0), min_size=2, max_size=24),
    chance=st.randoms(use_true_random=False),
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_entries_do_not_depend_on_how_visits_came(
    api: Api,
    leases: dict[str, Lease],
    database: Database,
    ms: list[float],
    chance: random.Random,
) -> None:
    """In any order, split at will, repeated, late, some rejected: as derived from scratch."""
    visits = [
        farm.visit(chance.choice(lease.tasks), lease, device, ms=one, round_=number).model_copy(
            update={
                "id": uuid4(),
                "rejected": chance.choice(["", "", "hot"]),
                "started_at": farm.STARTED_AT + timedelta(hours=chance.randint(-9, 9)),
            }
        )
        for number, one in enumerate(ms)
        for device, lease in [chance.choice(list(leases.items()))]
    ]
    sent = visits + chance.sample(visits, len(visits) // 2)
    chance.shuffle(sent)
    while sent:
        size = chance.randint(1, 7)
        api.upload(VisitBatch(visits=tuple(sent[:size])))
        sent = sent[size:]
    before = derived(database)
    with database.write() as session:
        derivation.rederive(session)
    assert derived(database) == before
    with database.read() as session:
        ids = set(session.scalars(select(VisitRow.id)))
    assert {visit.id for visit in visits} <= ids
