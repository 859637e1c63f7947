"""From runs to a visit's statistics, from visits to an entry's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Microseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

BOOTSTRAP_RESAMPLES = 500
#: two-sided level of an entry's interval
INTERVAL_LEVEL = 0.95


class VisitStatistics(BaseModel):
    """Counted runs of one visit, in us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    min_us: Microseconds
    p5_us: Microseconds
    median_us: Microseconds
    p95_us: Microseconds
    mean_us: Microseconds
    #: population standard deviation
    std_us: Microseconds

    @classmethod
    def of(cls, runs_us: npt.NDArray[np.float64]) -> VisitStatistics:
        """Statistics of the runs' times in us, shape [count]; percentiles interpolate linearly."""
        p5, median, p95 = np.percentile(runs_us, (5, 50, 95))
        return cls(
            count=len(runs_us),
            min_us=float(runs_us.min()),
            p5_us=float(p5),
            median_us=float(median),
            p95_us=float(p95),
            mean_us=float(runs_us.mean()),
            std_us=float(runs_us.std()),
        )


@dataclass(frozen=True)
class Estimate:
    """An entry's value over its visits."""

    value_ms: float
    #: bootstrap interval at `INTERVAL_LEVEL`
    low_ms: float
    high_ms: float
    visits: int


def estimate(visits: Sequence[VisitStatistics]) -> Estimate:
    """The estimate over visits, in any order; see `estimate_each`.

    Raises:
        ValueError: there are no visits.
    """
    return estimate_each([np.array(sorted(visit.p5_us for visit in visits))])[0]


def estimate_each(samples: Sequence[npt.NDArray[np.float64]]) -> list[Estimate]:
    """The 10th percentile over visits of each visit's 5th percentile run, with its interval.

    A shared or warm machine only ever adds time, so the low end repeats where the
    median does not; percentiles instead of minima keep one lucky run from deciding.
    The interval is the percentile bootstrap's. It is seeded, so the same visits give the same
    estimate, whatever else is estimated beside them.

    Args:
        samples: of each subject, its visits' 5th percentiles in us, ascending.

    Raises:
        ValueError: a subject has no visits.
    """
    if any(len(sample) == 0 for sample in samples):
        raise ValueError("an entry needs at least one visit")
    places: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault(len(sample), []).append(place)
    found: dict[int, Estimate] = {}
    for count, alike in places.items():
        together = np.stack([samples[place] for place in alike]) / 1000
        found |= zip(alike, _estimate_alike(together, count), strict=True)
    return [found[place] for place in range(len(samples))]


def _estimate_alike(values_ms: npt.NDArray[np.float64], count: int) -> list[Estimate]:
    """Estimates of subjects with as many visits each; shape [subjects, count], rows ascending."""
    ranks = _resampled_ranks(count)
    percentiles = _between(values_ms[:, ranks.lower], values_ms[:, ranks.upper], ranks.fraction)
    tail = 50 * (1 - INTERVAL_LEVEL)
    low, high = np.percentile(percentiles, (tail, 100 - tail), axis=1, overwrite_input=True)
    value = np.percentile(values_ms, 10, axis=1)
    return [
        Estimate(*one, count)
        for one in zip(
            value.tolist(),
            np.minimum(low, value).tolist(),
            np.maximum(high, value).tolist(),
            strict=True,
        )
    ]


@dataclass(frozen=True)
class _Ranks:
    """Where, among the ascending values, each resample has its 10th percentile."""

    #: shape [resamples]
    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    #: of the way from lower to upper
    fraction: float


@lru_cache(maxsize=1_024)
def _resampled_ranks(count: int) -> _Ranks:
    # Which values a resample draws depends on nothing but their number, and which of them is its
    # 10th percentile follows from their ranks: so both are found once for all subjects.
    drawn = np.random.default_rng(0).integers(0, count, size=(BOOTSTRAP_RESAMPLES, count))
    position = 0.1 * (count - 1)
    below = int(position)
    above = min(below + 1, count - 1)
    ordered = np.partition(drawn, (below, above), axis=1)
    return _Ranks(ordered[:, below].copy(), ordered[:, above].copy(), position - below)


def _between(
    lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64], fraction: float
) -> npt.NDArray[np.float64]:
    """Linear interpolation, rounded as `np.percentile` rounds it."""
    if fraction < 0.5:  # noqa: PLR2004 - the nearer end is exact
        return lower + (upper - lower) * fraction
    return upper - (upper - lower) * (1 - fraction)
