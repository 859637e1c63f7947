"""Energy: measured by a job, told in look-ups and tables, taken back, on both databases."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter
from sqlalchemy import func, select

from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    EnergyEntry,
    EnergyMeter,
    EnergySubject,
    EnergyUpload,
    Job,
    JobRequest,
    Lease,
    LookedUpLatencies,
    Prediction,
    Retraction,
    Snapshot,
    VisitBatch,
)
from profiler_server.energies.rows import EnergyMeasurementRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read
from tests.unit.netspec.test_energy import rounds

TARGET = farm.identity().id
RAILS = EnergyMeter(method="odpm", rails=("S2M_VDD_CPUCL2",))
GAUGE = EnergyMeter(method="fuel_gauge", rails=("battery",))
ENTRIES = TypeAdapter(list[EnergyEntry])


def registered(api: Api, serial: str = "S1") -> str:
    made = farm.registration(serial)
    return api.register(made.model_copy(update={"methods": ("isolated", "energy")})).id


def filed(api: Api, operators: tuple[Operator, ...], **more: object) -> Job:
    asked = {"name": "e", "target_id": TARGET, "rounds": 1, "energy": {"windows": 6}, **more}
    return api.file(JobRequest.model_validate({**asked, "operators": operators}))


def upload(lease: Lease, mj: float, meter: EnergyMeter = RAILS) -> EnergyUpload:
    made, last = rounds(6, inference_mj=mj)
    return EnergyUpload(lease_id=lease.id, meter=meter, rounds=made, last_idle=last)


def measured(api: Api, device: str, values_mj: list[float], meter: EnergyMeter = RAILS) -> Lease:
    """The device does what is queued; the values are of the subjects by name."""
    lease = api.claim(device)
    tasks = sorted(lease.tasks, key=lambda task: task.subject.name)
    for task, value in zip(tasks, values_mj, strict=True):
        assert isinstance(task.subject, EnergySubject)
        api.call("PUT", f"/v1/tasks/{task.task_id}/energy", upload(lease, value, meter), status=201)
    api.release(lease)
    return lease


def energies(api: Api, query: str = "") -> list[EnergyEntry]:
    answer = api.call("GET", f"/v1/targets/{TARGET}/energy{query}")
    return ENTRIES.validate_json(answer.content)


def looked_up(api: Api, operators: tuple[Operator, ...]) -> list[float | None]:
    question = {"target_id": TARGET, "operators": [one.model_dump() for one in operators]}
    found = read(LookedUpLatencies, api.call("POST", "/v1/latencies:lookup", question))
    return [
        one.entry.energy.value_mj if one.entry is not None and one.entry.energy else None
        for one in found.latencies
    ]


def visited(
    api: Api, device: str, operators: tuple[Operator, ...], networks: tuple[Network, ...] = ()
) -> None:
    """They have latencies."""
    api.file(farm.job(operators, rounds=1, networks=networks))
    lease = api.claim(device)
    visits = tuple(farm.visit(task, lease, device) for task in lease.tasks)
    assert set(api.upload(VisitBatch(visits=visits))) == {"stored"}
    api.release(lease)


def test_energy_is_told_beside_latency(api: Api) -> None:
    device, blocks = registered(api), farm.blocks(2)
    job = filed(api, blocks)
    assert (job.tasks, job.state) == (2, "queued")
    measured(api, device, [1.5, 2.5])
    assert api.job(job.id).state == "done"
    by_name = {one.name: one.energy for one in energies(api)}
    assert set(by_name) == {one.key for one in blocks}
    first = by_name[min(by_name)]
    assert first.value_mj == pytest.approx(1.5)
    assert (first.meter, first.devices, first.rounds) == (RAILS, 1, 6)
    # Nothing is known of their latency yet; when it is, the energy stands beside it.
    assert looked_up(api, blocks) == [None, None]
    visited(api, device, blocks)
    values = dict(zip([one.key for one in blocks], looked_up(api, blocks), strict=True))
    assert values == {name: pytest.approx(one.value_mj) for name, one in by_name.items()}
    snapshot = read(Snapshot, api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201))
    assert {one.name: one.energy for one in snapshot.entries} == by_name
    csv = api.call("GET", f"/v1/snapshots/{snapshot.id}?format=csv").text
    assert "energy_mj" in csv.splitlines()[0]
    assert RAILS.name in csv


def test_sums_are_scaled_to_networks_whose_energy_was_measured(api: Api) -> None:
    device, networks = registered(api), (farm.network([1, 2], "a"), farm.network([2, 3], "b"))
    operators = tuple(dict.fromkeys(one for network in networks for one in network.operators))
    visited(api, device, operators, networks)
    asked = {"network": networks[0].model_dump()}
    plain = read(Prediction, api.call("POST", f"/v1/targets/{TARGET}:predict", asked))
    assert plain.energy is None
    filed(api, operators)
    measured(api, device, [1.0] * len(operators))
    sums = {network.name: float(len(network.operators)) for network in networks}
    filed(api, (), networks=networks)
    measured(api, device, [1.25 * sums["a"], 1.25 * sums["b"]])
    unscaled = read(Prediction, api.call("POST", f"/v1/targets/{TARGET}:predict", asked)).energy
    assert unscaled is not None
    assert not unscaled.scaled
    assert unscaled.value_mj == pytest.approx(sums["a"])
    snapshot = read(Snapshot, api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201))
    scale = snapshot.calibrations[0].energy
    assert scale is not None
    assert scale.networks == 2
    assert scale.scale == pytest.approx(1.25)
    scaled = read(Prediction, api.call("POST", f"/v1/targets/{TARGET}:predict", asked)).energy
    assert scaled is not None
    assert scaled.scaled
    assert scaled.value_mj == pytest.approx(1.25 * sums["a"])
    assert scaled.meter == RAILS


def test_what_was_measured_lately_is_not_measured_again(api: Api) -> None:
    device, blocks = registered(api), farm.blocks(3)
    filed(api, blocks[:2])
    measured(api, device, [1.0, 2.0])
    more = filed(api, blocks)
    assert (more.tasks, more.reused) == (1, 2)
    measured(api, device, [3.0])
    assert api.job(more.id).state == "done"
    assert filed(api, blocks, remeasure=True).reused == 0


def test_several_devices_and_meters(api: Api) -> None:
    devices, blocks = [registered(api, serial) for serial in ("S1", "S2")], farm.blocks(2)
    visited(api, devices[0], blocks)
    for device, values in zip(devices, ([1.0, 2.0], [1.2, 2.0]), strict=True):
        filed(api, blocks, remeasure=True)
        measured(api, device, values)
    found = {one.name: one.energy for one in energies(api)}
    first = found[min(found)]
    assert first.devices == 2
    assert [first.low_mj, first.value_mj, first.high_mj] == pytest.approx([1.0, 1.1, 1.2])
    # By another meter: told apart, and not in the table while fewer are measured by it.
    filed(api, blocks[:1], remeasure=True)
    measured(api, devices[0], [7.0], GAUGE)
    assert len(energies(api)) == 3
    assert [one.energy.value_mj for one in energies(api, f"?meter={GAUGE.name}")] == [7.0]
    assert 7.0 not in looked_up(api, blocks)
    filed(api, blocks, remeasure=True)
    measured(api, devices[0], [7.0, 8.0], GAUGE)
    assert sorted(looked_up(api, blocks)) == [7.0, 8.0]  # type: ignore[type-var]


def test_a_measurement_is_stored_once_and_needs_its_lease(api: Api) -> None:
    device = registered(api)
    filed(api, farm.blocks(1))
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/energy"
    api.call("PUT", path, upload(lease, 1.0), status=201)
    api.call("PUT", path, upload(lease, 9.0), status=204)
    assert [one.energy.value_mj for one in energies(api)] == [pytest.approx(1.0)]
    foreign = upload(lease, 1.0).model_copy(update={"lease_id": "lease_none"})
    api.call("PUT", path, foreign, status=422)


def test_windows_that_tell_no_energy_are_refused(api: Api) -> None:
    device = registered(api)
    filed(api, farm.blocks(1))
    lease = api.claim(device)
    path = f"/v1/tasks/{lease.tasks[0].task_id}/energy"
    problem = api.call("PUT", path, upload(lease, 0.0), status=422).json()
    assert problem["type"].endswith("unclear-energy")
    assert energies(api) == []


def test_measurements_are_taken_back_and_outlive_their_job(api: Api, database: Database) -> None:
    device, blocks = registered(api), farm.blocks(1)
    visited(api, device, blocks)
    job = filed(api, blocks)
    measured(api, device, [1.0])
    snapshot = read(Snapshot, api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201))
    assert snapshot.entries[0].energy is not None
    api.call("DELETE", f"/v1/jobs/{job.id}", status=204)
    assert len(energies(api)) == 1
    again = filed(api, blocks, remeasure=True)
    measured(api, device, [5.0])
    assert looked_up(api, blocks) == [pytest.approx(5.0)]
    asked = {"job_id": again.id, "reason": "a rail of the modem"}
    taken = read(Retraction, api.call("POST", "/v1/visits:retract", asked))
    assert taken.visits == 1
    assert [one.energy.value_mj for one in energies(api)] == [pytest.approx(1.0)]
    assert looked_up(api, blocks) == [pytest.approx(1.0)]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EnergyMeasurementRow)) == 2


def test_a_target_whose_devices_count_no_energy_is_refused(api: Api) -> None:
    api.register(farm.registration("S1"))
    asked = {"name": "e", "target_id": TARGET, "rounds": 1, "energy": {}}
    request = JobRequest.model_validate({**asked, "operators": farm.blocks(1)})
    problem = api.call("POST", "/v1/jobs", request, status=422).json()
    assert problem["type"].endswith("method-not-supported")
    assert "--energy-rail" in problem["detail"]
