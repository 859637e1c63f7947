from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from netspec.wire import Lease, VisitBatch
from profiler_server.entries import derivation
from profiler_server.entries.rows import VisitRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.derived_rows import derived
from tests.integration.profiler_server.service import Api


@pytest.fixture
def device(api: Api) -> str:
    return api.register(farm.registration()).id


@pytest.fixture
def lease(api: Api, device: str) -> Lease:
    api.file(farm.job(farm.blocks(3), rounds=50))
    return api.claim(device)


def stored(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(VisitRow)) or 0


def test_an_upload_may_be_repeated(api: Api, device: str, lease: Lease, database: Database) -> None:
    batch = farm.visits(lease, device, rounds=2)
    assert api.upload(batch) == ["stored"] * 6
    assert api.upload(batch) == ["duplicate"] * 6
    assert stored(database) == 6


def test_another_visit_under_the_same_id_is_a_conflict(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    one = farm.visit(lease.tasks[0], lease, device)
    other = one.model_copy(update={"round": 7})
    assert api.upload(VisitBatch(visits=(one,))) == ["stored"]
    assert api.upload(VisitBatch(visits=(other,))) == ["conflict"]
    assert stored(database) == 1
    new = farm.visit(lease.tasks[0], lease, device)
    twice = new.model_copy(update={"round": 8})
    assert api.upload(VisitBatch(visits=(new, new, twice))) == ["stored", "duplicate", "conflict"]
    assert stored(database) == 2


def test_unknown_parts_spoil_only_their_own_visit(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    good = farm.visit(lease.tasks[0], lease, device)
    others = [
        farm.visit(lease.tasks[0], lease, device).model_copy(update=changed)
        for changed in (
            {"device_id": "nobody"},
            {"target_id": "0" * 16},
            {"subject_hash": "0" * 64},
        )
    ]
    assert api.upload(VisitBatch(visits=(*others, good))) == [*["unknown"] * 3, "stored"]
    assert stored(database) == 1


def test_a_visit_without_a_lease_is_refused_by_name(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    """As an agent sends it that is older than the server."""
    visit = farm.visit(lease.tasks[0], lease, device).model_copy(update={"lease_id": None})
    batch = VisitBatch(visits=(farm.visit(lease.tasks[1], lease, device), visit))
    path = "/v1/visits:batch"
    detail = api.problem("POST", path, batch, status=422, kind="visit-without-lease")
    assert str(visit.id) in detail
    assert "update the agent" in detail
    assert stored(database) == 0


def test_a_visit_is_of_its_devices_lease(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    """Whoever registers a device of the target, but measures what nobody asked it for."""
    intruder = api.register(farm.registration("S2")).id
    api.file(farm.job(farm.blocks(1, channels=40)))
    own = api.claim(intruder)
    elsewhere = api.register(farm.registration("S3", "Pixel 8")).id
    api.file(farm.job(farm.blocks(3), target_id=farm.identity("Pixel 8").id))
    other = api.claim(elsewhere)
    task = lease.tasks[0]
    refused = [
        # Without a lease of its own, it names none, the honest device's, or one on other subjects.
        farm.visit(task, lease, intruder).model_copy(update={"lease_id": "lease_x"}),
        farm.visit(task, lease, intruder),
        farm.visit(task, own, intruder),
        farm.visit(task, lease, device).model_copy(update={"lease_id": other.id}),
        farm.visit(own.tasks[0], lease, device),
    ]
    honest = farm.visit(task, lease, device)
    answer = api.upload(VisitBatch(visits=(*refused, honest, honest)))
    assert answer == [*["unleased"] * 5, "stored", "duplicate"]
    assert stored(database) == 1
    assert api.upload(VisitBatch(visits=(farm.visit(own.tasks[0], own, intruder),))) == ["stored"]


def test_a_late_visit_is_of_a_past_lease(api: Api, device: str, lease: Lease) -> None:
    late = farm.visits(lease, device, rounds=1)
    api.release(lease)
    again = api.claim(device)
    assert again.id != lease.id
    assert api.upload(late) == ["stored"] * 3


def test_concurrent_uploads_of_one_batch_store_it_once(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    batch = farm.visits(lease, device, rounds=10)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(api.upload, [batch] * 4))
    assert sorted(answer[0] for answer in answers) == ["duplicate"] * 3 + ["stored"]
    assert stored(database) == 30


def test_concurrent_uploads_for_one_subject_all_enter_its_entry(
    api: Api, device: str, lease: Lease
) -> None:
    batches = [farm.visits(lease, device, rounds=5) for _ in range(10)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(api.upload, batches))
    assert {state for answer in answers for state in answer} == {"stored"}
    (job,) = api.call("GET", "/v1/jobs").json()
    assert (job["state"], job["visits_done"]) == ("done", 150)
    assert [entry.visits for entry in api.entries(job["id"])] == [50, 50, 50]


def test_entries_are_the_estimate_over_accepted_visits(api: Api, device: str, lease: Lease) -> None:
    task = lease.tasks[0]
    # Of 1, 2, ..., 11 ms the lowest 1.1 and the highest 2.75 do not count:
    # (0.9 * 2 + 3 + ... + 8 + 0.25 * 9) / 7.15 ms
    batch = [farm.visit(task, lease, device, ms=float(ms)) for ms in range(1, 12)]
    api.upload(VisitBatch(visits=tuple(batch[:4])))
    api.upload(VisitBatch(visits=tuple(batch[4:])))
    key = task.subject.name
    answer = api.call("GET", f"/v1/targets/{lease.target_id}/latency?key={key}").json()
    assert answer["value_ms"] == pytest.approx(37.05 / 7.15)
    assert answer["low_ms"] <= answer["value_ms"] <= answer["high_ms"]
    assert answer["visits"] == 11


def test_rederiving_gives_the_same_entries(
    api: Api, device: str, lease: Lease, database: Database
) -> None:
    for ms in (3.0, 1.0, 2.0):
        visits = tuple(
            farm.visit(task, lease, device, ms=ms * (1 + index))
            for index, task in enumerate(lease.tasks)
        )
        api.upload(VisitBatch(visits=visits))

    before = derived(database)
    with database.write() as session:
        assert derivation.rederive(session) == 3
    assert derived(database) == before
    assert len(before) == 6


def test_a_batch_is_bounded(api: Api, device: str, lease: Lease) -> None:
    visit = farm.visit(lease.tasks[0], lease, device).model_dump(mode="json")
    for visits in ([], [visit] * 1_001):
        detail = api.problem(
            "POST", "/v1/visits:batch", {"visits": visits}, status=422, kind="invalid-request"
        )
        assert "visits" in detail
