"""What the page of a device shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from netspec.wire import Conditions, Event
from profiler_server.auth import repository as auth
from profiler_server.dashboard import charts
from profiler_server.dashboard.charts import Figure, Mark, ValueRange
from profiler_server.dashboard.formatting import counted
from profiler_server.dashboard.views import farm, farm_repository
from profiler_server.dashboard.views.devices import device_repository as repository
from profiler_server.dashboard.views.devices.device_repository import ObservedVisit, RejectedVisit
from profiler_server.dashboard.views.farm import DeviceLine
from profiler_server.devices.service import unknown_device
from profiler_server.events import service as events
from profiler_server.events.repository import EventsQuery
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page

#: the last day, in spans of half an hour
_SPAN = timedelta(minutes=30)
_SPANS = 48
_EVENTS_A_PAGE = 25
#: visits that are counted, rejected ones that are, and those of these that are listed
_MOST_VISITS, _MOST_REJECTED, _LISTED = 10_000, 2_000, 5


@dataclass(frozen=True)
class Plot:
    """What was observed of one kind over the last day; without a figure: nothing was."""

    title: str
    unit: str
    #: the latest value, for people
    last: str
    figure: Figure | None


@dataclass(frozen=True)
class DeviceView:
    """The page."""

    now: datetime
    line: DeviceLine
    #: the name of the token whose it is, and its id; None: nobody's
    owner_id: str | None
    plots: Sequence[Plot]
    #: of the last day, in words; empty: none
    visits: str
    #: the newest of them, and how many there are
    rejected: Sequence[RejectedVisit]
    rejected_count: int
    #: newest first
    events: Page[Event]


#: title, unit, format and value of what is plotted
_OBSERVED: Sequence[tuple[str, str, str, Callable[[Conditions], float | None]]] = (
    ("CPU temperature", "°C", ".0f", lambda seen: seen.cpu_celsius),
    ("Battery temperature", "°C", ".1f", lambda seen: seen.battery_celsius),
    ("Charge", "%", ".0f", lambda seen: seen.battery_percent),
    ("Clock", "MHz", ".0f", lambda seen: seen.cpu_mhz),
    ("Anchor over its reference", "", ".3f", lambda seen: seen.anchor_ratio),
)


def read(session: Session, device_id: str, cursor: str | None = None) -> DeviceView:
    """One device, with a page of its events.

    Raises:
        Problem: `unknown-device`, or `bad-request`: the cursor is not one of this list.
    """
    now = database_now(session)
    found = farm_repository.in_state(session, now, device_id)
    if found is None:
        raise unknown_device(device_id)
    begin = now - _SPANS * _SPAN
    spans = [(begin + number * _SPAN, begin + (number + 1) * _SPAN) for number in range(_SPANS)]
    samples = repository.last_of_each(session, device_id, spans)
    rejected = repository.rejected(session, device_id, begin, _MOST_REJECTED)
    query = EventsQuery(device_id=device_id, sort="-id", limit=_EVENTS_A_PAGE, cursor=cursor)
    return DeviceView(
        now=now,
        line=farm.lines(session, [found], now)[0],
        owner_id=auth.owners(session, [device_id]).get(device_id),
        plots=[*_plots(samples, spans), _rejected_plot(rejected, spans)],
        visits=_visits(repository.count(session, device_id, begin, _MOST_VISITS)),
        rejected=rejected[:_LISTED],
        rejected_count=len(rejected),
        events=events.list_events(session, query),
    )


def _visits(number: int) -> str:
    if not number:
        return ""
    return f"{counted(number, 'visit')}{' or more' if number == _MOST_VISITS else ''}"


def _plots(
    samples: Sequence[ObservedVisit], spans: Sequence[tuple[datetime, datetime]]
) -> list[Plot]:
    seen: dict[int, Conditions] = {}
    begin = spans[0][0]
    for sample in samples:
        # The later observation, where there is one.
        before, after = (
            Conditions.model_validate_json(text).model_dump(exclude_none=True, exclude={"steps"})
            for text in (sample.before, sample.after)
        )
        number = int((sample.started_at - begin) / _SPAN)
        seen[number] = Conditions.model_validate({**before, **after})
    return [_plot(*one, seen, spans) for one in _OBSERVED]


def _plot(
    title: str,
    unit: str,
    format_: str,
    value_of: Callable[[Conditions], float | None],
    seen: dict[int, Conditions],
    spans: Sequence[tuple[datetime, datetime]],
) -> Plot:
    values = [
        None if number not in seen else value_of(seen[number]) for number in range(len(spans))
    ]
    known = [value for value in values if value is not None]
    if not known:
        return Plot(title, unit, "", None)

    def text(value: float) -> str:
        return f"{value:{format_}} {unit}".strip()

    axis = ValueRange.around(known)
    lines, dots = charts.line([(n + 0.5) / len(spans) for n in range(len(spans))], values, axis)
    label = f"{title} over the last day: {text(min(known))} to {text(max(known))}"
    marks = []
    if title.startswith("Anchor") and axis.low <= 1.0 <= axis.high:
        marks = [Mark(charts.y_of(1.0, axis), "dashed: reference")]
    figure = Figure(
        f"{label}, last {text(known[-1])}",
        left=f"{spans[0][0]:%H:%M}",
        right="now",
        top=text(axis.high),
        bottom=text(axis.low),
        lines=lines,
        dots=dots,
        marks=marks,
    )
    return Plot(title, unit, text(known[-1]), figure)


def _rejected_plot(
    rejected: Sequence[RejectedVisit], spans: Sequence[tuple[datetime, datetime]]
) -> Plot:
    counts = [0] * len(spans)
    for visit in rejected:
        number = int((visit.started_at - spans[0][0]) / _SPAN)
        # An agent's clock may be ahead.
        counts[min(number, len(spans) - 1)] += 1
    titles = [
        f"{count} from {begin:%H:%M} to {end:%H:%M} UTC"
        for count, (begin, end) in zip(counts, spans, strict=True)
    ]
    total = len(rejected)
    if not total:
        return Plot("Rejected visits", "", "none", None)
    figure = Figure(
        f"Rejected visits over the last day: {total}, at most {max(counts)} in half an hour",
        left=f"{spans[0][0]:%H:%M}",
        right="now",
        top=str(max(counts)),
        bottom="0",
        bars=charts.bars(counts, titles),
    )
    more = f"{total} or more" if total == _MOST_REJECTED else str(total)
    return Plot("Rejected visits", "", more, figure)
