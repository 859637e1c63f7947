"""Made-up latency tables: nothing here was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from netspec.operators import Operator, Precision
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.wire import Calibration, Entry, Snapshot

WHEN = datetime(2025, 1, 2, tzinfo=UTC)

IDENTITY = TargetIdentity(
    device_model="Pixel 1",
    soc="msm8996",
    os_build="QP1A",
    abi="arm64-v8a",
    runtime="ai-edge-litert 2.3.0",
    runtime_sha256="ab" * 32,
    delegate="xnnpack",
    threads=1,
    affinity="none",
    clock_policy="free",
    protocol=MeasurementProtocol().content_hash,
)


def entry(operator: Operator, value_ms: float) -> Entry:
    return Entry(
        subject_hash=operator.content_hash,
        kind="operator",
        name=operator.key,
        precision=operator.precision,
        method="isolated",
        value_ms=value_ms,
        low_ms=value_ms,
        high_ms=value_ms,
        visits=3,
        measured_at=WHEN,
    )


def calibration(precision: Precision, scale: float, intercept_ms: float = 0.0) -> Calibration:
    return Calibration(
        precision=precision, scale=scale, intercept_ms=intercept_ms, networks=(), held_out=None
    )


def snapshot(
    values_ms: Mapping[Operator, float], calibrations: Iterable[Calibration] = ()
) -> Snapshot:
    return Snapshot(
        id="cd" * 32,
        target_id=IDENTITY.id,
        identity=IDENTITY,
        created_at=WHEN,
        entries=tuple(entry(operator, value) for operator, value in values_ms.items()),
        calibrations=tuple(calibrations),
    )
