"""How far predicted latencies are from measured ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: fewest networks that can be ranked
LEAST_RANKED = 3
#: errors that are counted as within 5 and within 10 percent
NEAR_PERCENT, FAIR_PERCENT = 5.0, 10.0


@dataclass(frozen=True)
class Accuracy:
    """Errors of predictions, 100 * (predicted / measured - 1) each."""

    networks: int
    mape_percent: float
    bias_percent: float
    #: share of the networks whose error is within 5 percent, 0 to 1
    within_5: float
    within_10: float
    #: rank correlation, None for fewer than 3 networks
    spearman: float | None
    worst_percent: float
    worst_network: str


def accuracy(names: Sequence[str], predicted_ms: Array, measured_ms: Array) -> Accuracy:
    """The errors of at least one network's prediction; all latencies above 0 ms."""
    errors = 100 * (predicted_ms / measured_ms - 1)
    sizes = np.abs(errors)
    worst = int(sizes.argmax())
    return Accuracy(
        networks=len(errors),
        mape_percent=float(sizes.mean()),
        bias_percent=float(errors.mean()),
        within_5=float((sizes <= NEAR_PERCENT).mean()),
        within_10=float((sizes <= FAIR_PERCENT).mean()),
        spearman=spearman(predicted_ms, measured_ms) if len(errors) >= LEAST_RANKED else None,
        worst_percent=float(sizes[worst]),
        worst_network=names[worst],
    )


def spearman(left: Array, right: Array) -> float | None:
    """Rank correlation, ties sharing their mean rank; None where one side is constant."""
    first, second = _ranks(left), _ranks(right)
    first, second = first - first.mean(), second - second.mean()
    norm = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / norm if norm else None


def _ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])
