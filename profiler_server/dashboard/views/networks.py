"""What the page of predicted and measured networks shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from netspec.console.units import latency_text
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from netspec.wire import Calibration
from profiler_server.devices.service import require_target
from profiler_server.drift import verdicts
from profiler_server.drift.verdicts import Alarm
from profiler_server.entries import repository as measurements
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.kit.sql.pages import Page, PageRequest
from profiler_server.latency_tables import published_calibrations
from profiler_server.latency_tables import repository as tables
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from profiler_server.latency_tables.published_calibrations import PublishedCalibrations
from profiler_server.latency_tables.views import grid_repository

#: of each calibration, on the page
MOST_NETWORKS = 100
_WHOLES_A_PAGE = 50
#: between an entry's transaction and a snapshot that does not see it yet
_AT_THE_SAME_TIME = timedelta(minutes=1)


@dataclass(frozen=True)
class NetworkLine:
    """A measured network, as a calibration predicts it that was fitted without it."""

    name: str
    subject_hash: str
    predicted_ms: float
    measured_ms: float
    #: 100 * (predicted - measured) / measured
    error_percent: float


@dataclass(frozen=True)
class CalibrationView:
    """A calibration with its networks, the worst predicted first."""

    calibration: Calibration
    #: none where it is of one network alone, or of a server that did not tell held-out predictions
    networks: Sequence[NetworkLine]
    #: operators of its precision whose entry is another than when it was fitted, or is new
    changed: int
    #: all of that precision that have an entry, where some have changed
    operators: int


@dataclass(frozen=True)
class NetworksView:
    """The page."""

    target_id: str
    identity: TargetIdentity
    #: None: nothing is published
    snapshot_id: str | None
    calibrations: Sequence[CalibrationView]
    #: networks and models with an entry, by name
    wholes: Page[EntryOfSubject]
    alarm: Alarm | None


def read(
    session: Session, target_id: str, cursor: str | None, origins: CalibrationOrigins
) -> NetworksView:
    """The page.

    Args:
        session: reads.
        target_id: whose networks.
        cursor: of a page of measured networks.
        origins: tell the entries that calibrations were fitted to.

    Raises:
        Problem: `unknown-target`, or `invalid-request`: the cursor is not one of this list.
    """
    row = require_target(session, target_id)
    published = published_calibrations.latest(session, target_id)
    return NetworksView(
        target_id=target_id,
        identity=TargetIdentity.model_validate_json(row.identity),
        snapshot_id=None if published is None else published.snapshot_id,
        calibrations=_views(session, target_id, published, origins) if published else [],
        wholes=grid_repository.measured_wholes(
            session, target_id, PageRequest(_WHOLES_A_PAGE, cursor)
        ),
        alarm=verdicts.alarm(session, target_id),
    )


def _views(
    session: Session,
    target_id: str,
    published: PublishedCalibrations,
    origins: CalibrationOrigins,
) -> list[CalibrationView]:
    if not published.calibrations:
        return []
    since = tables.created_at(session, published.snapshot_id) - _AT_THE_SAME_TIME
    now_ms = measurements.operator_values_since(session, target_id, since)
    # Of a large table both are much to read, and seldom is anything in it later than its snapshot.
    before_ms = origins.values_ms(session, published.snapshot_id) if now_ms else {}
    views = []
    for one in published.calibrations:
        values = now_ms.get(one.precision, {}).items()
        changed = sum(before_ms.get(key) != value for key, value in values)
        operators = grid_repository.count(session, target_id, one.precision) if changed else 0
        views.append(_view(one, changed, operators))
    return views


def _view(calibration: Calibration, changed: int, operators: int) -> CalibrationView:
    lines = [
        NetworkLine(
            network.name,
            network.subject_hash,
            network.held_out_ms,
            network.measured_ms,
            network.held_out_error_percent,
        )
        for network in calibration.networks
        if network.held_out_ms is not None and network.held_out_error_percent is not None
    ]
    return CalibrationView(
        calibration,
        sorted(lines, key=lambda one: -abs(one.error_percent)),
        changed=changed,
        operators=operators,
    )


def figure(shown: Sequence[CalibrationView]) -> dict[str, Any] | None:
    """Held-out error over latency, a colour and a sign each precision; None where nothing is known.

    The dashed lines are the calibration's 95 % interval.
    """
    known = [view for view in shown if view.networks]
    if not known:
        return None
    greatest_ms = max(network.measured_ms for view in known for network in view.networks)
    unit, scale = ("us", 1000) if greatest_ms < 1 else ("ms", 1)
    signs: dict[Precision, str] = {"float32": "circle", "int8": "diamond"}
    # Names of the page's colours, which the script looks up.
    colours: dict[Precision, str] = {"float32": "--second", "int8": "--accent"}
    traces: list[dict[str, Any]] = []
    for view in known:
        precision, factor = view.calibration.precision, view.calibration.interval_factor
        measured = [network.measured_ms for network in view.networks]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": precision,
                "marker": {"symbol": signs[precision], "size": 8, "color": colours[precision]},
                "x": [round(scale * value, 4) for value in measured],
                "y": [round(network.error_percent, 3) for network in view.networks],
                "text": [_told(network) for network in view.networks],
                "hovertemplate": "%{text}",
            }
        )
        if factor is not None:
            # One line that is broken between its two ends.
            ends = [scale * min(measured), scale * max(measured)]
            low, high = 100 / factor - 100, 100 * factor - 100
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{precision}, 95 % of networks",
                    "line": {"dash": "dash", "width": 1, "color": colours[precision]},
                    "hoverinfo": "skip",
                    "x": [*ends, None, *ends],
                    "y": [low, low, None, high, high],
                }
            )
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": f"measured, {unit}"}},
            "yaxis": {"title": {"text": "error, %"}, "zeroline": True},
            "legend": {"orientation": "h", "y": -0.25, "yanchor": "top"},
        },
    }


def _told(line: NetworkLine) -> str:
    """What hovering over a network's point says."""
    measured, predicted = latency_text(line.measured_ms), latency_text(line.predicted_ms)
    error = f"{line.error_percent:+.1f} %"
    return f"{line.name}<br>measured {measured}<br>predicted without it {predicted} ({error})"
