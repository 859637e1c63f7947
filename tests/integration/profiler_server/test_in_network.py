"""Operators priced by what they take inside networks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import pytest
from sqlalchemy import delete

from netspec.covering_networks import appearances, covering_networks
from netspec.networks import Network
from netspec.operators import Operator
from netspec.spaces import Space, Stage
from netspec.tflite import encode
from netspec.wire import (
    Device,
    Entry,
    Lease,
    ModelSubject,
    NetworkSubject,
    Prediction,
    PredictRequest,
    Profile,
    StoredVisit,
    TargetSelector,
    TaskOutcome,
    VisitBatch,
)
from profiler_server.entries import derivation
from profiler_server.entries import profile_repository as profiles
from profiler_server.entries.rows import ProfiledNetworkRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
SPACE = Space(
    input_size=32,
    width=0.25,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=2, stride=2)),
)
ONE = farm.network([2, 3, 2])
#: us, by position: the stem, three blocks of which the first and the last are the same, the head
#: and the classifier
OPERATORS_US = (100.0, 200.0, 300.0, 220.0, 50.0, 10.0)


def able(api: Api, serial: str = "S1", model: str = "Pixel 1") -> str:
    """A device that can profile networks."""
    registration = farm.registration(serial, model)
    return api.register(registration.model_copy(update={"methods": ("isolated", "in_network")})).id


def profiled(
    lease: Lease, device: str, operators_us: Mapping[str, tuple[float, ...]], *, rounds: int
) -> VisitBatch:
    """Visits of the lease's networks, each with the same profile by the network's name."""
    batch = farm.visits(lease, device, rounds=rounds)
    names = {task.subject.content_hash: task.subject.name for task in lease.tasks}
    return VisitBatch(
        visits=tuple(
            visit.model_copy(
                update={
                    "profile": Profile(
                        operators_us=operators_us[names[visit.subject_hash]],
                        statistic="p5",
                        count=5,
                    )
                }
            )
            for visit in batch.visits
        )
    )


def entries(api: Api) -> dict[str, Entry]:
    """The target's operators that have one, by key, of a fresh snapshot."""
    answer = api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201)
    return {one["name"]: Entry.model_validate(one) for one in answer.json()["entries"]}


def measure_in_network(api: Api, device: str, network: Network = ONE) -> None:
    api.file(farm.job(networks=(network,), method="in_network"))
    lease = api.claim(device)
    operators_us = OPERATORS_US[: len(network.operators)]
    api.upload(profiled(lease, device, {network.name: operators_us}, rounds=2))
    api.release(lease)


def test_a_space_is_covered_by_networks(api: Api) -> None:
    device = able(api)
    job = api.file(farm.job(spaces=(SPACE,), method="in_network", appearances=2))
    lease = api.claim(device)
    networks = [
        task.subject.network for task in lease.tasks if isinstance(task.subject, NetworkSubject)
    ]
    assert job.tasks == len(networks) == len(covering_networks(SPACE, 2, 0))
    assert {task.method for task in lease.tasks} == {"in_network"}
    assert set(SPACE.operators()) == set(appearances(networks))
    assert min(appearances(networks).values()) == 2
    # Another time the same networks: what is fresh is reused.
    again = api.file(farm.job(spaces=(SPACE,), method="in_network", appearances=2))
    assert again.tasks == job.tasks


def test_profiles_become_entries(api: Api) -> None:
    device = able(api)
    measure_in_network(api, device)
    found = entries(api)
    assert {one.method for one in found.values()} == {"in_network"}
    stem, first, middle, *_ = ONE.operators
    assert found[stem.key].value_ms == pytest.approx(0.1)
    assert found[middle.key].value_ms == pytest.approx(0.3)
    # Twice in the network, 0.20 and 0.22 ms, in two visits each.
    assert found[first.key].value_ms == pytest.approx(0.21)
    assert found[first.key].low_ms < 0.2
    assert found[first.key].visits == 4
    assert found[first.key].measured_at == farm.STARTED_AT.replace(second=6)


def test_the_network_itself_is_measured_by_its_own_runs(api: Api) -> None:
    device = able(api)
    job = api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    api.upload(profiled(lease, device, {ONE.name: OPERATORS_US}, rounds=2))
    (entry,) = api.entries(job.id)
    assert (entry.kind, entry.method, entry.value_ms) == ("network", "isolated", 1.0)
    assert api.job(job.id).state == "done"


def test_both_ways_of_measuring_are_merged(api: Api) -> None:
    """Inside the network everything takes 10 % longer, but the head takes 20 % less."""
    device = able(api)
    operators = tuple(dict.fromkeys(ONE.operators))
    inside = dict(zip(ONE.operators, (110.0, 220.0, 330.0, 220.0, 44.0, 11.0), strict=True))
    alone = {one.key: inside[one] / 1100 for one in operators}
    head = ONE.operators[-2]
    alone[head.key] = 0.05
    api.file(farm.job(operators))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2, ms=alone))
    api.release(lease)
    api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    profile = tuple(inside[one] for one in ONE.operators)
    api.upload(profiled(lease, device, {ONE.name: profile}, rounds=2))
    found = entries(api)
    assert {one.method for one in found.values()} == {"in_network"}
    for one in operators:
        assert found[one.key].value_ms == pytest.approx(inside[one] / 1100, rel=0.1)
    # Brought to the level of isolated entries, and far nearer to what it takes in networks.
    assert 0.040 < found[head.key].value_ms < 0.045
    assert found[head.key].visits == 4


def test_whole_microseconds_are_in_the_interval_of_a_network(api: Api) -> None:
    """Every visit saw 2 us, so the visits agree: the operators took 1 to 3 all the same."""
    device = able(api)
    networks = (ONE, farm.network([2, 3], "small"), farm.network([3, 3], "other"))
    api.file(farm.job(networks=networks, method="in_network", rounds=10))
    lease = api.claim(device)
    whole_us = {one.name: (2.0,) * len(one.operators) for one in networks}
    api.upload(profiled(lease, device, whole_us, rounds=10))
    api.release(lease)
    stem = entries(api)[ONE.operators[0].key]
    assert (stem.value_ms, stem.low_ms) == pytest.approx((0.002, 0.002 / math.exp(0.5)), rel=0.01)
    question = PredictRequest(network=ONE)
    found = read(Prediction, api.call("POST", f"/v1/targets/{TARGET}:predict", question))
    assert found.low_ms is not None
    assert found.high_ms is not None
    assert found.low_ms < 0.8 * found.predicted_ms
    assert found.high_ms > 1.25 * found.predicted_ms


def test_entries_are_the_same_when_they_are_derived_again(api: Api, database: Database) -> None:
    device = able(api)
    api.file(farm.job(tuple(dict.fromkeys(ONE.operators))))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1))
    api.release(lease, [TaskOutcome(task_id=one.task_id, state="failed") for one in lease.tasks])
    measure_in_network(api, device)
    # Isolated visits that come later move the merged entries too.
    api.upload(farm.visits(lease, device, rounds=1, ms={ONE.operators[0].key: 2.0}))
    before = entries(api)
    with database.write() as session:
        derivation.rederive(session)
    # The same content: no new snapshot.
    answer = api.call("POST", f"/v1/targets/{TARGET}/snapshots", {})
    assert {one["name"]: Entry.model_validate(one) for one in answer.json()["entries"]} == before


OTHER = farm.network([3, 4], "other")


def upload_in_parts(api: Api) -> dict[str, Entry]:
    """Two networks with operators in common, of two devices, visited in turn; the entries."""
    devices = [able(api, serial) for serial in ("S1", "S2")]
    for at, device in enumerate(devices):
        api.file(farm.job(networks=(ONE, OTHER), method="in_network", rounds=3, remeasure=True))
        lease = api.claim(device)
        scale = 1.0 + 0.1 * at
        took = {
            ONE.name: tuple(scale * us for us in OPERATORS_US),
            OTHER.name: tuple(scale * us for us in OPERATORS_US[:-1]),
        }
        for visit in profiled(lease, device, took, rounds=3).visits:
            api.upload(VisitBatch(visits=(visit,)))
    return entries(api)


def test_entries_are_the_same_however_their_visits_came(api: Api, database: Database) -> None:
    before = upload_in_parts(api)
    middle = ONE.operators[2]
    assert middle in OTHER.operators
    assert (before[middle.key].visits, before[middle.key].devices) == (12, 2)
    with database.write() as session:
        derivation.rederive(session)
    answer = api.call("POST", f"/v1/targets/{TARGET}/snapshots", {})
    assert {one["name"]: Entry.model_validate(one) for one in answer.json()["entries"]} == before


def test_an_upload_reads_no_profiles_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    device = able(api)
    measure_in_network(api, device)

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(profiles, "samples", fail)
    api.file(farm.job(networks=(ONE, OTHER), method="in_network", remeasure=True))
    lease = api.claim(device)
    took = {ONE.name: OPERATORS_US, OTHER.name: OPERATORS_US[:-1]}
    assert set(api.upload(profiled(lease, device, took, rounds=2))) == {"stored"}
    # Of the first network four visits, of the other one two.
    assert entries(api)[ONE.operators[2].key].visits == 6


def test_profiles_of_before_they_were_kept_are_not_forgotten(api: Api, database: Database) -> None:
    device = able(api)
    measure_in_network(api, device)
    with database.write() as session:
        session.execute(delete(ProfiledNetworkRow))
    measure_in_network(api, device, OTHER)
    assert entries(api)[ONE.operators[2].key].visits == 4


def test_an_upload_may_be_repeated(api: Api) -> None:
    device = able(api)
    api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    batch = profiled(lease, device, {ONE.name: OPERATORS_US}, rounds=2)
    assert api.upload(batch) == ["stored", "stored"]
    assert api.upload(batch) == ["duplicate", "duplicate"]
    assert entries(api)[ONE.operators[0].key].visits == 2
    path = f"/v1/targets/{TARGET}/entries/{ONE.content_hash}/visits"
    stored = [StoredVisit.model_validate(one) for one in api.call("GET", path).json()]
    assert {one.visit.id: one.visit for one in stored} == {one.id: one for one in batch.visits}


def test_a_profile_of_another_network_is_kept_and_counts_for_nothing(api: Api) -> None:
    device = able(api)
    job = api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    api.upload(profiled(lease, device, {ONE.name: OPERATORS_US[:-1]}, rounds=2))
    assert (api.entries(job.id), api.job(job.id).visits_done) == ([], 0)
    path = f"/v1/targets/{TARGET}/entries/{ONE.content_hash}/visits"
    stored = api.call("GET", path).json()
    assert {one["visit"]["rejected"] for one in stored} == {
        "its profile has 5 operators, its subject 6"
    }


def test_visits_without_profile_are_not_enough(api: Api) -> None:
    device = able(api)
    job = api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    assert api.job(job.id).visits_done == 0
    # For the network alone they are.
    assert api.file(farm.job(networks=(ONE,))).reused == 1


def test_only_devices_that_can_profile_get_such_tasks(api: Api) -> None:
    other = api.register(farm.registration("S2")).id
    device = able(api)
    assert [read(Device, api.call("GET", f"/v1/devices/{one}")).methods for one in (other, device)]
    api.file(farm.job(networks=(ONE,), method="in_network"))
    api.no_work(other)
    api.file(farm.job(networks=(ONE,)))
    assert [task.method for task in api.claim(other).tasks] == ["isolated"]
    assert [task.method for task in api.claim(device).tasks] == ["in_network"]


def test_one_visit_serves_both_methods(api: Api) -> None:
    device = able(api)
    plain = api.file(farm.job(networks=(ONE,)))
    profiling = api.file(farm.job(networks=(ONE,), method="in_network"))
    lease = api.claim(device)
    assert [task.method for task in lease.tasks] == ["in_network"]
    api.upload(profiled(lease, device, {ONE.name: OPERATORS_US}, rounds=2))
    assert {api.job(one.id).state for one in (plain, profiling)} == {"done"}


def test_a_target_that_nobody_can_profile_is_refused(api: Api) -> None:
    api.register(farm.registration())
    request = farm.job(networks=(ONE,), method="in_network")
    said = api.problem("POST", "/v1/jobs", request, status=422, kind="method-not-supported")
    assert f"no device of target {TARGET} can measure in_network" in said
    select = request.model_copy(update={"target_id": None, "select": TargetSelector()})
    said = api.problem("POST", "/v1/jobs", select, status=422, kind="nothing-selected")
    assert "can measure in_network" in said
    able(api, "S2", "Pixel 2")
    assert api.file(select).target_ids == (farm.identity("Pixel 2").id,)


def test_operators_cannot_be_asked_for_in_a_network(api: Api) -> None:
    able(api)
    operators: tuple[Operator, ...] = farm.blocks(1)
    body = {
        **farm.job(operators).model_dump(mode="json"),
        "method": "in_network",
    }
    said = api.problem("POST", "/v1/jobs", body, status=422, kind="invalid-request")
    assert "profiles `networks`, `models` and `spaces`" in said


def test_the_profile_of_a_model_tells_of_no_operator(api: Api, database: Database) -> None:
    device = able(api)
    content = encode([farm.blocks(1)[0]])
    digest = hashlib.sha256(content).hexdigest()
    api.call("PUT", f"/v1/models/{digest}", content, status=201)
    model = ModelSubject(sha256=digest, name="mine.tflite")
    job = api.file(farm.job(models=(model,), method="in_network", rounds=2))
    lease = api.claim(device)
    assert [(task.method, task.subject) for task in lease.tasks] == [("in_network", model)]
    kernels = Profile(operators_us=(3.0, 1.0), statistic="p5", count=5, kernels=("Conv", "Add"))
    batch = VisitBatch(
        visits=tuple(
            visit.model_copy(update={"profile": kernels})
            for visit in farm.visits(lease, device, rounds=2).visits
        )
    )
    assert api.upload(batch) == ["stored", "stored"]
    assert api.job(job.id).state == "done"
    with database.write() as session:
        derivation.rederive(session)
        assert profiles.profiled_networks(session, TARGET) == []
    assert [entry.kind for entry in api.entries(job.id)] == ["model"]
    # There is no operator to publish.
    api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=409)


def test_kernels_are_no_profile_of_a_network(api: Api) -> None:
    device = able(api)
    api.file(farm.job(networks=(ONE,), method="in_network", rounds=1))
    lease = api.claim(device)
    (visit,) = farm.visits(lease, device, rounds=1).visits
    kernels = Profile(operators_us=(3.0,), statistic="p5", count=5, kernels=("Conv",))
    api.upload(VisitBatch(visits=(visit.model_copy(update={"profile": kernels}),)))
    path = f"/v1/targets/{TARGET}/entries/{visit.subject_hash}/visits"
    stored = [StoredVisit.model_validate(one) for one in api.call("GET", path).json()]
    assert stored[0].visit.rejected == "its profile is of a model's kernels, its subject a network"
