"""What a calibration makes of single operators."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from netspec.operators import Operator, operator_from_key
from netspec.wire import Calibration


def operator_factors(calibration: Calibration, operators: Sequence[Operator]) -> list[float]:
    """Each operator's factor; that of its group where it was in no table when that was fitted."""
    of_group: dict[str, list[float]] = {}
    for key, factor in calibration.factors.items():
        of_group.setdefault(operator_from_key(key).family, []).append(factor)
    usual = {name: statistics.median(factors) for name, factors in of_group.items()}
    return [
        calibration.factors.get(operator.key, usual.get(operator.family, 1.0))
        for operator in operators
    ]
