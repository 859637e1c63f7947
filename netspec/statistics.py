"""From runs to a visit's statistics, from visits to an entry's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    count: Annotated[int, Field(ge=1)]
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
    """The 10th percentile over visits of each visit's 5th percentile run, with its interval.

    A shared or warm machine only ever adds time, so the low end repeats where the
    median does not; percentiles instead of minima keep one lucky run from deciding.
    The bootstrap is seeded: the same visits give the same entry.

    Raises:
        ValueError: there are no visits.
    """
    if not visits:
        raise ValueError("an entry needs at least one visit")
    values_ms = np.array(sorted(visit.p5_us for visit in visits)) / 1000
    rng = np.random.default_rng(0)
    samples = rng.choice(values_ms, size=(BOOTSTRAP_RESAMPLES, len(values_ms)))
    tail = 50 * (1 - INTERVAL_LEVEL)
    low, high = np.percentile(np.percentile(samples, 10, axis=1), (tail, 100 - tail))
    value = float(np.percentile(values_ms, 10))
    return Estimate(value, min(float(low), value), max(float(high), value), len(visits))
