"""What an agent and a user would send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np

from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, Operator, StemConv
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.statistics import VisitStatistics
from netspec.wire import (
    Conditions,
    DeviceRegistration,
    JobRequest,
    Lease,
    LeasedTask,
    LeaseRequest,
    Visit,
    VisitBatch,
)
from tests import made_up

PROTOCOL = MeasurementProtocol()
STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def identity(model: str = "Pixel 1") -> TargetIdentity:
    return made_up.identity(device_model=model)


def registration(serial: str = "S1", model: str = "Pixel 1") -> DeviceRegistration:
    return DeviceRegistration(
        agent="farm-1", serial=serial, targets=(identity(model),), protocol=PROTOCOL
    )


def blocks(count: int, *, channels: int = 24) -> tuple[Operator, ...]:
    """Distinct operators: MBConvs of one shape and growing expansion, then growing size."""
    return tuple(
        MBConv(
            input_size=56 + index // 16,
            in_channels=channels,
            out_channels=channels,
            expand=1 + index % 16,
            residual=True,
        )
        for index in range(count)
    )


def network(expands: Sequence[int], name: str = "net") -> Network:
    stem = StemConv(input_size=32, in_channels=3, out_channels=8, stride=2)
    middle = tuple(
        MBConv(input_size=16, in_channels=8, out_channels=8, expand=expand, residual=True)
        for expand in expands
    )
    head = HeadConv(input_size=16, in_channels=8, out_channels=16)
    last = Classifier(input_size=16, in_channels=16, out_channels=10)
    return Network(name=name, operators=(stem, *middle, head, last))


def job(operators: Iterable[Operator] = (), *, rounds: int = 2, **more: object) -> JobRequest:
    fields = {"name": "job", "target_id": identity().id, "rounds": rounds, **more}
    return JobRequest.model_validate({**fields, "operators": tuple(operators)})


def ask(device_id: str) -> LeaseRequest:
    return LeaseRequest(device_id=device_id)


def visit(
    task: LeasedTask, lease: Lease, device_id: str, *, ms: float = 1.0, round_: int = 0
) -> Visit:
    """A visit all of whose runs took `ms`."""
    return Visit(
        id=uuid4(),
        task_id=task.task_id,
        lease_id=lease.id,
        device_id=device_id,
        target_id=lease.target_id,
        subject_hash=task.subject.content_hash,
        round=round_,
        started_at=STARTED_AT + timedelta(seconds=round_),
        statistics=VisitStatistics.of(np.full(5, ms * 1000)),
        before=Conditions(load_1m=0.5),
        after=Conditions(),
        raw="5 runs",
    )


def visits(
    lease: Lease, device_id: str, *, rounds: int, ms: dict[str, float] | None = None
) -> VisitBatch:
    """`rounds` visits of every task, in rounds; `ms` by the subject's name, else 1 ms."""
    latencies = ms or {}
    return VisitBatch(
        visits=tuple(
            visit(task, lease, device_id, ms=latencies.get(task.subject.name, 1.0), round_=round_)
            for round_ in range(rounds)
            for task in lease.tasks
        )
    )
