"""Things for tests that were never measured, in one place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol, TargetIdentity
from netspec.wire import EnergyMeter, EnergyValue, Entry

WHEN = datetime(2025, 1, 2, tzinfo=UTC)


def identity(**other: Any) -> TargetIdentity:
    """A phone's identity, with other controlled variables where given."""
    usual = {
        "device_model": "Pixel 1",
        "soc": "msm8996",
        "os_build": "QP1A",
        "abi": "arm64-v8a",
        "runtime": "ai-edge-litert 2.3.0",
        "runtime_sha256": "ab" * 32,
        "delegate": "xnnpack",
        "threads": 1,
        "affinity": "none",
        "clock_policy": "free",
        "protocol": MeasurementProtocol().content_hash,
    }
    return TargetIdentity.model_validate(usual | other)


def operator_entry(operator: Operator, value_ms: float) -> Entry:
    """An operator's entry of a value that its three visits agree on."""
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


def energy_value(mj: float, meter: EnergyMeter) -> EnergyValue:
    """The energy of an inference that its eight rounds agree on."""
    return EnergyValue(
        value_mj=mj,
        low_mj=mj,
        high_mj=mj,
        rounds=8,
        runs=4000,
        idle_mw=300.0,
        meter=meter,
        measured_at=WHEN,
    )
