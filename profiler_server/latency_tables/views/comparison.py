"""Two targets side by side: two phones, or two versions of a runtime on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from netspec.operators import PRECISIONS, Precision
from netspec.prediction_error import LEAST_RANKED, spearman
from profiler_server.latency_tables.views import comparison_repository as repository
from profiler_server.subjects.shapes import precision_of

#: of a plot: more marks than that hide each other
MOST_SAMPLED = 400

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """One subject's values on two targets."""

    subject_hash: str
    name: str
    first_ms: float
    second_ms: float

    @property
    def ratio(self) -> float:
        """Second over first."""
        return self.second_ms / self.first_ms


@dataclass(frozen=True)
class Comparison:
    """What the operators of one precision, or whole networks, say of two targets."""

    #: None: networks and models
    precision: Precision | None
    shared: int
    #: of second over first
    median_ratio: float
    low_ratio: float
    high_ratio: float
    #: rank correlation; None for fewer than three, or where one side is constant
    spearman: float | None
    #: whose ratios are farthest from the median, the farthest first
    farthest: Sequence[Pair]
    #: both values, ms, of at most `MOST_SAMPLED` of them, evenly over the first target's
    sample: Sequence[tuple[float, float]] = ()


def compare(session: Session, first_id: str, second_id: str, most: int) -> list[Comparison]:
    """Compares what two targets have both measured, each precision for itself.

    Args:
        session: reads.
        first_id: a target.
        second_id: another.
        most: how many of the largest differences are told.
    """
    groups: dict[Precision | None, list[tuple[str, float, float]]] = {}
    for subject_hash, shape, first_ms, second_ms in repository.shared(session, first_id, second_id):
        if first_ms > 0:
            precision = None if shape is None else precision_of(shape)
            groups.setdefault(precision, []).append((subject_hash, first_ms, second_ms))
    found = [
        (precision, *_columns(groups[precision]))
        for precision in (*PRECISIONS, None)
        if precision in groups
    ]
    chosen = [_farthest(second / first, most) for _, _, first, second in found]
    names = repository.names(
        session,
        {one[1][at] for one, places in zip(found, chosen, strict=True) for at in places},
    )
    return [
        _comparison(
            precision,
            first,
            second,
            [
                Pair(hashes[at], names[hashes[at]], float(first[at]), float(second[at]))
                for at in places
            ],
        )
        for (precision, hashes, first, second), places in zip(found, chosen, strict=True)
    ]


def _columns(rows: Sequence[tuple[str, float, float]]) -> tuple[list[str], Array, Array]:
    hashes, first, second = zip(*rows, strict=True)
    return list(hashes), np.array(first), np.array(second)


def _comparison(
    precision: Precision | None, first: Array, second: Array, farthest: Sequence[Pair]
) -> Comparison:
    low, median, high = np.percentile(second / first, (5, 50, 95))
    return Comparison(
        precision=precision,
        shared=len(first),
        median_ratio=float(median),
        low_ratio=float(low),
        high_ratio=float(high),
        spearman=spearman(first, second) if len(first) >= LEAST_RANKED else None,
        farthest=farthest,
        sample=_sample(first, second),
    )


def _sample(first: Array, second: Array) -> list[tuple[float, float]]:
    order = np.argsort(first, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_SAMPLED).round().astype(int))]
    return [(float(first[at]), float(second[at])) for at in chosen]


def _farthest(ratios: Array, most: int) -> list[int]:
    """Places of the ratios farthest from their median, as factors; a value of 0 is farthest."""
    median = max(float(np.median(ratios)), np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore"):
        distance = np.abs(np.log(ratios / median))
    return [int(at) for at in np.argsort(-distance, kind="stable")[:most]]
