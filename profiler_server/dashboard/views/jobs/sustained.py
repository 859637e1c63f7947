"""What the page of a job shows of what runs without pause, while it does and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import latency_text
from netspec.wire import WINDOW_S, SustainedSpeed, Window
from profiler_server.dashboard import charts
from profiler_server.dashboard.charts import Figure, Mark, ValueRange
from profiler_server.dashboard.formatting import duration
from profiler_server.sustained import service

_S_PER_MINUTE = 60


@dataclass(frozen=True)
class SustainedView:
    """How fast a subject stays."""

    found: SustainedSpeed

    @property
    def wanted_s(self) -> float:
        """For how long it is to run, s."""
        return _S_PER_MINUTE * self.found.minutes

    @property
    def ran_s(self) -> float:
        """For how long it has run, s, to a whole window."""
        windows = self.found.windows
        return min(windows[-1].at_s + WINDOW_S, self.wanted_s) if windows else 0.0

    @property
    def figure(self) -> Figure:
        """The median of each window over time; there is at least one."""
        windows = self.found.windows
        medians = [one.median_ms for one in windows]
        axis, unit = ValueRange.around(medians), LatencyUnit.of(medians, digits=3)
        lines, dots = charts.line(
            [min(one.at_s / self.wanted_s, 1.0) for one in windows], medians, axis
        )
        return Figure(
            f"Median latency of {len(windows)} windows: {latency_text(medians[0])} at first, "
            f"{latency_text(medians[-1])} at last",
            left="begin",
            right=duration(self.wanted_s),
            top=f"{unit.text(axis.high)} {unit.name}",
            bottom=f"{unit.text(axis.low)} {unit.name}",
            lines=lines,
            dots=dots,
            marks=_throttling(self.found, self.wanted_s),
        )

    @property
    def newest_first(self) -> Sequence[Window]:
        """The windows; while more come, the last one stands where one looks."""
        windows = self.found.windows
        return windows[::-1] if self.found.is_partial else windows


def _throttling(found: SustainedSpeed, wanted_s: float) -> list[Mark]:
    at_s = None if found.speed is None else found.speed.throttled_after_s
    if at_s is None:
        return []
    at = round(charts.WIDTH * min(at_s / wanted_s, 1.0), 1)
    return [Mark(at, f"dashed: throttles after {duration(at_s)}", is_vertical=True)]


def read(session: Session, job_id: str) -> SustainedView | None:
    """What a job's page shows; None: it runs nothing without pause."""
    found = service.speed_of(session, job_id)
    return None if found is None else SustainedView(found)
