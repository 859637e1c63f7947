"""Is an old table still true? Which entries to look at again, and when to raise the alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from profiler_server.latency_model.design import Priced

#: share of a table's entries that is measured again each day
DAILY_SHARE = 0.02
#: entries younger than this are left alone
OLD = timedelta(days=1)
#: an entry has moved when old and new differ by more than this, beyond their own errors
MOVED_PERCENT = 3.0
#: fewest looks that can raise the alarm; so many are made of a small table, too
LEAST_LOOKS = 3
#: predictions have become worse when they are off by so many times what their calibration states
GROWN = 2.0


def due(measured_at: Mapping[str, datetime], now: datetime) -> list[str]:
    """Keys to measure again today, oldest first: 2 % of the table, at least as many as can tell.

    Args:
        measured_at: of each entry.
        now: entries younger than a day are not due.
    """
    count = max(LEAST_LOOKS, math.ceil(DAILY_SHARE * len(measured_at)))
    old = [key for key, at in measured_at.items() if now - at >= OLD]
    return sorted(old, key=lambda key: (measured_at[key], key))[:count]


@dataclass(frozen=True)
class Drift:
    """What new looks say of old entries."""

    looks: int
    #: median of new over old, minus 1, in percent
    median_percent: float
    #: share of the looked-at entries that moved beyond their errors, 0 to 1
    moved: float
    #: the one that moved most
    worst: str
    worst_percent: float

    @property
    def is_alarming(self) -> bool:
        """Whether the table as a whole, or most of what was looked at, has moved."""
        many = self.moved > 0.5  # noqa: PLR2004 (a majority)
        return self.looks >= LEAST_LOOKS and (many or abs(self.median_percent) > MOVED_PERCENT)


def drift(looks: Sequence[tuple[str, Priced, Priced]]) -> Drift:
    """Compares entries before with entries after.

    Args:
        looks: key, old and new value each; at least one, values above 0 ms.
    """
    changes = np.array([new.value_ms / old.value_ms - 1 for _, old, new in looks])
    doubts = np.array([math.hypot(old.relative_error, new.relative_error) for _, old, new in looks])
    worst = int(np.abs(changes).argmax())
    return Drift(
        looks=len(looks),
        median_percent=float(100 * np.median(changes)),
        moved=float((np.abs(changes) > MOVED_PERCENT / 100 + 2 * doubts).mean()),
        worst=looks[worst][0],
        worst_percent=float(100 * changes[worst]),
    )


@dataclass(frozen=True)
class PredictionError:
    """How far predictions of networks that were measured again are off."""

    networks: int
    mape_percent: float
    #: what their calibrations state
    stated_percent: float

    @property
    def is_alarming(self) -> bool:
        """Whether it has grown, by more than what measuring again does by itself."""
        limit = max(MOVED_PERCENT, GROWN * self.stated_percent)
        return self.networks >= LEAST_LOOKS and self.mape_percent > limit


def prediction_error(looks: Sequence[tuple[float, float, float]]) -> PredictionError:
    """The error of predictions.

    Args:
        looks: predicted and measured latency (ms, above 0) and the error (percent) that the
            calibration states, of each network; at least one.
    """
    predicted_ms, measured_ms, stated = np.array(looks).T
    return PredictionError(
        networks=len(looks),
        mape_percent=float(100 * np.abs(predicted_ms / measured_ms - 1).mean()),
        stated_percent=float(stated.mean()),
    )
