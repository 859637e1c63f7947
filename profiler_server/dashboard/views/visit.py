"""What the page of a visit shows: its runs as they came, and what held around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from netspec.console.units import latency_text
from netspec.protocol import MeasurementProtocol
from netspec.wire import Conditions, StoredVisit, Visit
from profiler_server.dashboard import charts
from profiler_server.dashboard.charts import Figure, Mark, ValueRange
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.entries import details
from profiler_server.subjects import repository as subjects

_NS_PER_MS = 1e6
_US_PER_MS = 1e3
#: points of the run-by-run plot; of more runs each is the median of neighbours
_MOST_POINTS = 400
#: a plot of fewer runs says less than their numbers
_LEAST_RUNS = 5


@dataclass(frozen=True)
class Condition:
    """Something that was observed around the visit, against the protocol's limit."""

    name: str
    before: str
    after: str
    #: what the protocol allows; empty: it sets no limit
    allowed: str
    #: whether it held; None: nothing is asked of it, or nothing was observed
    held: bool | None


@dataclass(frozen=True)
class VisitView:
    """The page."""

    name: str
    stored: StoredVisit
    device: DeviceRow | None
    conditions: Sequence[Condition]
    #: none where the runner does not print each run
    histogram: Figure | None
    runs: Figure | None


class _Raw(BaseModel):
    """What the runner of a host prints of each run."""

    model_config = ConfigDict(extra="ignore", strict=True)

    runs_ns: Annotated[tuple[float, ...], Field(min_length=_LEAST_RUNS)]


def read(session: Session, target_id: str, subject_hash: str, visit_id: UUID) -> VisitView:
    """The page.

    Raises:
        Problem: `unknown-target` or `not-found`.
    """
    stored = details.visit(session, target_id, subject_hash, visit_id)
    visit = stored.visit
    device = devices.device(session, visit.device_id)
    runs_ms = _runs_ms(visit.raw)
    return VisitView(
        name=subjects.name(session, subject_hash),
        stored=stored,
        device=device,
        conditions=_conditions(visit, None if device is None else device.protocol),
        histogram=_histogram(visit, runs_ms) if runs_ms else None,
        runs=_in_order(runs_ms) if runs_ms else None,
    )


def _runs_ms(raw: str) -> list[float]:
    try:
        told = _Raw.model_validate_json(raw.partition("\n")[0])
    except ValidationError:
        # Phones print a summary.
        return []
    return [ns / _NS_PER_MS for ns in told.runs_ns]


def _histogram(visit: Visit, runs_ms: Sequence[float]) -> Figure:
    """The runs by their time, those above the 95th percentile together in the last bar."""
    median_ms, p95_ms = (
        visit.statistics.median_us / _US_PER_MS,
        visit.statistics.p95_us / _US_PER_MS,
    )
    # A few interrupted runs would press all others into one bar.
    most = max(p95_ms * 1.15, min(runs_ms) * 1.01)
    shown = [min(ms, most) for ms in runs_ms]
    counts, edges = charts.histogram(shown)
    titles = [
        f"{count} of {len(runs_ms)} runs: {latency_text(low)} to {latency_text(high)}"
        for count, low, high in zip(counts, edges, edges[1:], strict=False)
    ]
    axis = ValueRange(edges[0], edges[-1])
    beyond = sum(ms > most for ms in runs_ms)
    end = f"{latency_text(edges[-1])}{' and more' if beyond else ''}"
    return Figure(
        f"Histogram of {len(runs_ms)} runs from {latency_text(min(runs_ms))} to "
        f"{latency_text(max(runs_ms))}, median {latency_text(median_ms)}",
        left=latency_text(edges[0]),
        right=end,
        top=f"{max(counts)} runs",
        bottom="0",
        bars=charts.bars(counts, titles),
        marks=[
            Mark(
                round(axis.share(median_ms) * charts.WIDTH, 1),
                f"dashed: median, {latency_text(median_ms)}",
                is_vertical=True,
            ),
        ],
    )


def _in_order(runs_ms: Sequence[float]) -> Figure:
    """The runs in the order in which they were made."""
    size = -(-len(runs_ms) // _MOST_POINTS)
    points = [median(runs_ms[at : at + size]) for at in range(0, len(runs_ms), size)]
    axis = ValueRange.around(points)
    places = [number / max(len(points) - 1, 1) for number in range(len(points))]
    lines, dots = charts.line(places, points, axis)
    each = "" if size == 1 else f", each point the median of {size}"
    return Figure(
        f"{len(runs_ms)} runs in their order{each}: first {latency_text(points[0])}, last "
        f"{latency_text(points[-1])}",
        left="first run",
        right=f"run {len(runs_ms):,}{each}",
        top=latency_text(axis.high),
        bottom=latency_text(axis.low),
        lines=lines,
        dots=dots,
    )


def _conditions(visit: Visit, protocol_json: str | None) -> list[Condition]:
    protocol = _protocol(protocol_json)
    found = [_condition(*one, visit, protocol) for one in _LIMITS]
    return [one for one in found if one.before or one.after or one.held is not None]


def _protocol(document: str | None) -> MeasurementProtocol | None:
    if document is None:
        return None
    try:
        return MeasurementProtocol.model_validate_json(document)
    except ValidationError:
        # Of an agent from before limits were part of it.
        return None


@dataclass(frozen=True)
class _Limit:
    """What a protocol asks of a condition: at most, or at least."""

    value: float
    is_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.value if self.is_least else value <= self.value


_Value = Callable[[Conditions], float | None]
_LimitOf = Callable[[MeasurementProtocol], _Limit | None]


def _none(_protocol: MeasurementProtocol) -> None:
    return None


def _anchor(protocol: MeasurementProtocol) -> _Limit | None:
    return None if protocol.anchor is None else _Limit(protocol.anchor.slow_ratio)


#: name, format, value and limit of what is observed; a limit holds before and after but where the
#: protocol looks before alone
_LIMITS: Sequence[tuple[str, str, _Value, _LimitOf, bool]] = (
    ("CPU temperature", "{:.0f} °C", lambda seen: seen.cpu_celsius, _none, True),
    (
        "Thermal status",
        "{:.0f}",
        lambda seen: seen.thermal_status,
        lambda protocol: _Limit(protocol.gate.max_thermal_status),
        True,
    ),
    (
        "Battery temperature",
        "{:.1f} °C",
        lambda seen: seen.battery_celsius,
        lambda protocol: _Limit(protocol.gate.max_battery_celsius),
        True,
    ),
    (
        "Charge",
        "{:.0f} %",
        lambda seen: seen.battery_percent,
        lambda protocol: _Limit(protocol.gate.min_battery_percent, is_least=True),
        True,
    ),
    (
        "Cores taken by others",
        "{:.0f} %",
        lambda seen: None if seen.busy_share is None else 100 * seen.busy_share,
        lambda protocol: _Limit(100 * protocol.gate.max_busy_share),
        False,
    ),
    ("Anchor over its reference", "{:.3f}", lambda seen: seen.anchor_ratio, _anchor, True),
    ("Clock", "{:,.0f} MHz", lambda seen: seen.cpu_mhz, _none, True),
    ("Clock of the GPU", "{:,.0f} MHz", lambda seen: seen.gpu_mhz, _none, True),
    ("Load, last minute", "{:.2f}", lambda seen: seen.load_1m, _none, True),
)


def _condition(
    name: str,
    format_: str,
    value_of: _Value,
    limit_of: _LimitOf,
    also_after: bool,
    visit: Visit,
    protocol: MeasurementProtocol | None,
) -> Condition:
    before, after = value_of(visit.before), value_of(visit.after)
    limit = None if protocol is None else limit_of(protocol)
    judged = [value for value in (before, after if also_after else None) if value is not None]
    allowed = ""
    if limit is not None:
        allowed = f"{'at least' if limit.is_least else 'at most'} {format_.format(limit.value)}"
        if not also_after:
            allowed += " before"
    texts = ["" if value is None else format_.format(value) for value in (before, after)]
    return Condition(
        name=name,
        before=texts[0],
        after=texts[1],
        allowed=allowed,
        held=all(map(limit.holds, judged)) if limit is not None and judged else None,
    )
