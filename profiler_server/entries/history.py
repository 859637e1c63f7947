"""How an entry's visits have spread, and moved over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from netspec.statistics import estimate_each
from profiler_server.entries import history_repository as repository
from profiler_server.entries.history_repository import PastVisit

#: visits that a history looks back on
MOST_VISITS = 1_000
#: a history of more hours than this is told by days
_MOST_HOURS = 48
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Spread:
    """Over visits (ms), of each visit's 5th percentile run."""

    visits: int
    min_ms: float
    #: what an entry of these visits would be
    trimmed_mean_ms: float
    median_ms: float
    p90_ms: float
    max_ms: float

    @classmethod
    def of(cls, visits: Sequence[PastVisit]) -> Spread:
        """The spread of at least one visit."""
        p5_us = np.sort([visit.p5_us for visit in visits])
        least, median, p90, most = (np.percentile(p5_us, (0, 50, 90, 100)) / 1000).tolist()
        (entry,) = estimate_each([p5_us])
        return cls(len(visits), least, entry.value_ms, median, p90, most)


@dataclass(frozen=True)
class Period:
    """The accepted visits of an hour or a day."""

    begins: datetime
    spread: Spread


@dataclass(frozen=True)
class EntryHistory:
    """The newest visits of an entry."""

    #: as they began, rejected ones too
    visits: Sequence[PastVisit]
    #: of the accepted ones, None where there are none
    spread: Spread | None
    periods: Sequence[Period]
    #: of one period
    length: timedelta
    #: older visits are left out
    is_cut: bool


def history(session: Session, target_id: str, subject_hash: str) -> EntryHistory:
    """How the subject's newest visits on the target have spread, and moved over time."""
    found = repository.latest_visits(session, target_id, subject_hash, MOST_VISITS + 1)
    visits = found[-MOST_VISITS:]
    accepted = [visit for visit in visits if not visit.rejected]
    length = _HOUR
    if accepted and accepted[-1].started_at - accepted[0].started_at > _MOST_HOURS * _HOUR:
        length = _DAY
    periods: dict[datetime, list[PastVisit]] = {}
    for one in accepted:
        periods.setdefault(_begin(one.started_at, length), []).append(one)
    return EntryHistory(
        visits=visits,
        spread=Spread.of(accepted) if accepted else None,
        periods=[Period(begins, Spread.of(group)) for begins, group in periods.items()],
        length=length,
        is_cut=len(found) > len(visits),
    )


def _begin(time: datetime, length: timedelta) -> datetime:
    begin = time.replace(minute=0, second=0, microsecond=0)
    return begin if length == _HOUR else begin.replace(hour=0)
