"""From runs to a visit's statistics, from visits to an entry's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Microseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

BOOTSTRAP_RESAMPLES = 500
#: shares of the visits that do not count, see `estimate_each`
TRIMMED_LOW = 0.10
TRIMMED_HIGH = 0.25
#: weights of resamples are kept for up to so many visits, 33 MB in all
_MOST_KEPT = 128
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
        """Statistics of the runs' times in us, shape [count].

        The 5th percentile is that of `low_run`; median and 95th interpolate linearly.
        """
        median, p95 = np.percentile(runs_us, (50, 95))
        return cls(
            count=len(runs_us),
            min_us=float(runs_us.min()),
            p5_us=float(low_run(runs_us)),
            median_us=float(median),
            p95_us=float(p95),
            mean_us=float(runs_us.mean()),
            std_us=float(runs_us.std()),
        )


def low_run(runs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The 5th percentile over runs, shape [runs, ...]: always one of them, the lower neighbour.

    Interpolated, it would let an interrupted run in wherever there are fewer than 20.
    """
    lowest: npt.NDArray[Any] = np.percentile(runs, 5, axis=0, method="lower")
    return lowest


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
    """The trimmed mean over visits of each visit's 5th percentile run, with its interval.

    The lowest `TRIMMED_LOW` and the highest `TRIMMED_HIGH` of the visits do not count; a visit that
    is partly trimmed counts with the rest. Sums of means are means of sums, so entries add up to
    networks, as low percentiles over visits do not; more is trimmed above, since a shared machine
    only ever adds time. The interval is the percentile bootstrap's. It is seeded, so the same
    visits give the same estimate, whatever else is estimated beside them.

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


def trimmed_mean_ms(p5_us: npt.NDArray[np.float64]) -> float:
    """The value (ms) of `estimate_each` alone.

    Args:
        p5_us: of at least one visit, its 5th percentile in us, ascending.
    """
    return float(_weighted(p5_us[None] / 1000, _weights(len(p5_us))[None])[0, 0])


def _estimate_alike(values_ms: npt.NDArray[np.float64], count: int) -> list[Estimate]:
    """Estimates of subjects with as many visits each; shape [subjects, count], rows ascending."""
    value = _weighted(values_ms, _weights(count)[None])[:, 0]
    resampled = _weighted(values_ms, _resampled_weights(count))
    tail = 50 * (1 - INTERVAL_LEVEL)
    low, high = np.percentile(resampled, (tail, 100 - tail), axis=1, overwrite_input=True)
    return [
        Estimate(*one, count)
        for one in zip(
            value.tolist(),
            np.minimum(low, value).tolist(),
            np.maximum(high, value).tolist(),
            strict=True,
        )
    ]


def _weighted(
    values_ms: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Weighted means, [subjects, count] by [means, count] to [subjects, means].

    Not a matrix product: its rounding depends on how many subjects there are.
    """
    means: npt.NDArray[np.float64] = np.einsum("sc,wc->sw", values_ms, weights)
    # Rounding must not lead out of what was measured.
    np.clip(means, values_ms[:, :1], values_ms[:, -1:], out=means)
    return means


def _weights(count: int) -> npt.NDArray[np.float64]:
    """What each of the ascending values counts in the trimmed mean, shape [count]."""
    ends = np.arange(count + 1) / count
    kept = np.diff(np.clip(ends, TRIMMED_LOW, 1 - TRIMMED_HIGH))
    weights: npt.NDArray[np.float64] = kept / kept.sum()
    return weights


def _resampled_weights(count: int) -> npt.NDArray[np.float64]:
    """What each of the ascending values counts in each resample, shape [resamples, count].

    Which values a resample draws depends on nothing but their number, and which of them are
    trimmed follows from their ranks: so this is found once for all subjects.
    """
    return _kept_weights(count) if count <= _MOST_KEPT else _drawn_weights(count)


@cache
def _kept_weights(count: int) -> npt.NDArray[np.float64]:
    return _drawn_weights(count)


def _drawn_weights(count: int) -> npt.NDArray[np.float64]:
    drawn = np.random.default_rng(0).integers(0, count, size=(BOOTSTRAP_RESAMPLES, count))
    drawn.sort(axis=1)
    weights = np.zeros((BOOTSTRAP_RESAMPLES, count))
    np.add.at(weights, (np.arange(BOOTSTRAP_RESAMPLES)[:, None], drawn), _weights(count))
    return weights
