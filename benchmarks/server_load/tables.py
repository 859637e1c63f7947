"""Made-up operators, devices and visits, as many as wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from uuid import uuid4

from netspec.client.http import ProfilerHttp
from netspec.operators import MBConv, Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import (
    MAX_VISITS_PER_BATCH,
    Conditions,
    DeviceRegistration,
    Job,
    JobRequest,
    Lease,
    LeasedTask,
    LeaseRequest,
    PublishRequest,
    RegisteredDevice,
    Visit,
    VisitBatch,
)
from tests import made_up

#: as long as what the agent's runner for its own host prints
_RAW = '{"first_run_ns": 181234, "warmup_ns": 2512345, "runner": "made up"}' + " " * 140
_OPERATORS_PER_JOB = 5_000


def operators(count: int) -> tuple[Operator, ...]:
    """Distinct MBConvs."""
    return tuple(islice(_every_operator(), count))


def _every_operator() -> Iterator[Operator]:
    for channels in range(8, 16_384, 8):
        for size in range(7, 225, 7):
            for expand in range(1, 17):
                yield MBConv(
                    input_size=size, in_channels=channels, out_channels=channels, expand=expand
                )


def register(http: ProfilerHttp, number: int, model: str) -> RegisteredDevice:
    """One phone of a model."""
    registration = DeviceRegistration(
        agent=f"farm-{number}",
        serial=f"S{number}",
        targets=(made_up.identity(device_model=model),),
        protocol=MeasurementProtocol(),
    )
    answer = http.request("POST", "/v1/devices", body=registration)
    return RegisteredDevice.model_validate_json(answer.content)


def visit(device: RegisteredDevice, lease: Lease, task: LeasedTask, number: int) -> Visit:
    """A visit of about 1 ms, a bit different from the others of its subject."""
    us = 1_000.0 + (number * 37 % 101) / 10
    return Visit(
        id=uuid4(),
        task_id=task.task_id,
        lease_id=lease.id,
        device_id=device.id,
        target_id=device.target_ids[0],
        subject_hash=task.subject.content_hash,
        round=number,
        started_at=datetime.now(UTC),
        statistics=VisitStatistics(
            count=50,
            min_us=us,
            p5_us=us + 1,
            median_us=us + 5,
            p95_us=us + 20,
            mean_us=us + 6,
            std_us=4.5,
        ),
        before=Conditions(cpu_celsius=41.5, battery_percent=80.0, load_1m=0.5, cpu_mhz=2150.0),
        after=Conditions(cpu_celsius=42.0, battery_percent=80.0, load_1m=0.6, cpu_mhz=2150.0),
        raw=_RAW,
    )


def file_job(
    http: ProfilerHttp, target_id: str, wanted: Sequence[Operator], rounds: int = 1
) -> list[str]:
    """Files the operators, as many jobs as that takes; their ids."""
    ids = []
    for start in range(0, len(wanted), _OPERATORS_PER_JOB):
        part = tuple(wanted[start : start + _OPERATORS_PER_JOB])
        job = JobRequest(name="load", target_id=target_id, operators=part, rounds=rounds)
        answer = http.request("POST", "/v1/jobs", body=job)
        ids.append(Job.model_validate_json(answer.content).id)
    return ids


def fill(http: ProfilerHttp, device: RegisteredDevice, wanted: Sequence[Operator]) -> None:
    """Makes the operators entries of the device's target, with one visit each."""
    file_job(http, device.target_ids[0], wanted)
    while lease := claim(http, device, MAX_VISITS_PER_BATCH):
        upload_once(http, device, lease)


def upload_once(http: ProfilerHttp, device: RegisteredDevice, lease: Lease) -> None:
    """Uploads one visit of each of the lease's tasks."""
    visits = tuple(visit(device, lease, task, 0) for task in lease.tasks)
    http.request("POST", "/v1/visits:batch", body=VisitBatch(visits=visits))


def claim(http: ProfilerHttp, device: RegisteredDevice, max_tasks: int) -> Lease | None:
    """A lease of the device; None where no task waits."""
    ask = LeaseRequest(device_id=device.id, max_tasks=max_tasks)
    answer = http.request("POST", "/v1/leases", body=ask)
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return None
    return Lease.model_validate_json(answer.content)


def publish(http: ProfilerHttp, target_id: str) -> str:
    """Publishes the target's table; its ETag."""
    path = f"/v1/targets/{target_id}/snapshots"
    return http.request("POST", path, body=PublishRequest()).headers["ETag"]
