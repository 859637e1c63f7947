"""Small valid messages."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from netspec.operators import HeadConv, Precision
from netspec.statistics import VisitStatistics
from netspec.wire import Conditions, Lease, LeasedTask, OperatorSubject, Visit

TARGET_ID = "0123456789abcdef"


def subject(channels: int = 8, precision: Precision = "float32") -> OperatorSubject:
    return OperatorSubject(
        operator=HeadConv(input_size=4, in_channels=8, out_channels=channels, precision=precision)
    )


def lease(visits: dict[str, int], lease_id: str = "lease-1") -> Lease:
    tasks = tuple(
        LeasedTask(task_id=task_id, subject=subject(8 * (index + 1)), visits=wanted)
        for index, (task_id, wanted) in enumerate(visits.items())
    )
    return Lease(id=lease_id, fence=7, target_id=TARGET_ID, ttl_s=60.0, tasks=tasks)


def visit(visit_id: UUID | None = None, raw: str = "{}") -> Visit:
    return Visit(
        id=visit_id or uuid4(),
        task_id="task-1",
        lease_id="lease-1",
        device_id="device-1",
        target_id=TARGET_ID,
        subject_hash=subject().content_hash,
        round=0,
        started_at=datetime(2025, 1, 1, tzinfo=UTC),
        statistics=VisitStatistics(
            count=3, min_us=1, p5_us=1.1, median_us=2, p95_us=2.9, mean_us=2, std_us=0.8
        ),
        before=Conditions(),
        after=Conditions(load_1m=0.5),
        raw=raw,
    )
