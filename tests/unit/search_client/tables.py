"""Made-up latency tables: nothing here was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netspec.operators import Operator, Precision
from netspec.wire import Calibration, Snapshot
from tests.made_up import WHEN, identity, operator_entry

IDENTITY = identity()


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
        entries=tuple(operator_entry(operator, value) for operator, value in values_ms.items()),
        calibrations=tuple(calibrations),
    )
