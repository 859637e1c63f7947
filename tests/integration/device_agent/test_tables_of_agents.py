"""Tables that a real agent's visits make in a real server: merged, and measured step by step."""

from __future__ import annotations

import json
from collections import Counter

from device_agent.host.identity import host_device
from netspec.protocol import MeasurementProtocol
from netspec.spaces import Space, Stage
from netspec.wire import JobRequest, PublishRequest, Snapshot
from tests.integration.device_agent.processes import Farm

TARGET_ID = host_device(MeasurementProtocol()).identity.id
#: large enough that no operator takes less than the microsecond that profiles are told in
SPACE = Space(
    input_size=96,
    width=0.5,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=1, stride=2)),
)


def request(**more: object) -> JobRequest:
    fields = {"name": "job", "target_id": TARGET_ID, "spaces": (SPACE,), "rounds": 2}
    return JobRequest.model_validate(fields | more)


def published(farm: Farm) -> Snapshot:
    with farm.http() as http:
        answer = http.request("POST", f"/v1/targets/{TARGET_ID}/snapshots", body=PublishRequest())
    return Snapshot.model_validate(json.loads(answer.content))


def test_operators_are_profiled_inside_networks_and_merged(farm: Farm) -> None:
    farm.run_agent()  # makes the target known
    isolated = farm.file(request())
    profiled = farm.file(request(method="in_network", appearances=1))
    farm.run_agent()
    assert {farm.job(job).state for job in (isolated, profiled)} == {"done"}
    snapshot = published(farm)
    assert not [one for one in snapshot.entries if one.method != "in_network"]
    assert {one.name for one in snapshot.entries} == {one.key for one in SPACE.operators()}
    # Two visits by itself, and two of each network that it is in.
    seen = Counter(one.visits for one in snapshot.entries)
    assert min(seen) >= 4
    assert all(0 < one.low_ms <= one.value_ms <= one.high_ms for one in snapshot.entries)
    (calibration,) = snapshot.calibrations
    assert len(calibration.networks) == profiled.tasks


def test_a_job_with_a_budget_goes_on_under_one_agent(farm: Farm) -> None:
    farm.register_host()
    job = farm.file(request(budget=18, rounds=3))
    assert job.tasks == 12
    farm.run_agent()
    done = farm.job(job)
    assert (done.state, done.tasks, done.tasks_done) == ("done", 18, 18)
    assert done.table_error_percent is not None
    assert len(published(farm).entries) == 18
