"""What the page of an entry shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from netspec.console.latency_unit import LatencyUnit
from netspec.launches import delegation_text, read_launch, typical_launch
from netspec.protocol import TargetIdentity
from netspec.wire import Conditions, EntryDetail, StoredVisit, VisitQuery
from profiler_server.devices.service import require_target
from profiler_server.entries import detail_repository, details
from profiler_server.entries import history as histories
from profiler_server.entries.history import EntryHistory
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.pages import Page

#: hexadecimal digits, of 64
SHORT_HASH = 16
_VISITS_A_PAGE = 25
#: what is observed around a visit, with its unit
_OBSERVED = (
    ("cpu_celsius", "CPU", "°C"),
    ("battery_celsius", "battery", "°C"),
    ("battery_percent", "charge", "%"),
    ("cpu_mhz", "clock", "MHz"),
    ("load_1m", "load", ""),
    ("busy_share", "taken by others", ""),
    ("anchor_ratio", "anchor", ""),
    ("thermal_status", "thermal status", ""),
)


@dataclass(frozen=True)
class EntryView:
    """The page."""

    identity: TargetIdentity
    detail: EntryDetail
    history: EntryHistory
    visits: Page[StoredVisit]
    #: serials by device id, of the devices in the entry
    serials: dict[str, str]
    #: of a model, how much of its graph the delegate runs; else empty
    who_runs: str

    @property
    def unit(self) -> LatencyUnit:
        """Of all latencies of the page's tables and chart."""
        return LatencyUnit.of([self.detail.entry.value_ms], digits=3)


def short(subject_hash: str) -> str:
    """The beginning of a subject's hash that addresses have: pages of tables have a thousand."""
    return subject_hash[:SHORT_HASH]


def subject(session: Session, target_id: str, beginning: str) -> str:
    """The hash of the target's only entry whose subject's begins so; what nothing begins as stays.

    Raises:
        Problem: `not-found`: several begin so.
    """
    found = detail_repository.hashes(session, target_id, beginning, 2)
    if len(found) > 1:
        raise Problem("not-found", f"several entries begin with {beginning}: name more of the hash")
    return found[0] if found else beginning


def read(session: Session, target_id: str, subject_hash: str, cursor: str | None) -> EntryView:
    """The page.

    Raises:
        Problem: `unknown-target`, `missing-entry`, or `bad-request`: the cursor is not one
            of this list.
    """
    row = require_target(session, target_id)
    detail = details.detail(session, target_id, subject_hash)
    query = VisitQuery(limit=_VISITS_A_PAGE, cursor=cursor)
    identity = TargetIdentity.model_validate_json(row.identity)
    visits = details.visits(session, target_id, subject_hash, query)
    return EntryView(
        identity=identity,
        detail=detail,
        history=histories.history(session, target_id, subject_hash),
        visits=visits,
        serials={device.device_id: device.serial for device in detail.devices},
        who_runs=who_runs(identity, visits.items) if detail.entry.kind == "model" else "",
    )


def who_runs(identity: TargetIdentity, visits: Sequence[StoredVisit]) -> str:
    """How much of a model's graph the target's delegate runs, as its visits tell it."""
    accepted = (stored.visit for stored in visits if not stored.visit.rejected)
    launch = typical_launch(read_launch(visit.raw) for visit in accepted if visit.raw)
    return delegation_text(identity.delegate, launch)


def figure(view: EntryView) -> dict[str, Any]:
    """Each visit over time, a colour a device; what does not count is a cross."""
    unit = view.unit
    groups: dict[tuple[bool, str], list[tuple[str, float]]] = {}
    for visit in view.history.visits:
        rejected = bool(visit.rejected)
        name = "rejected" if rejected else view.serials.get(visit.device_id, visit.device_id)
        point = (
            visit.started_at.isoformat(timespec="seconds"),
            round(unit.scale * visit.p5_us / 1000, 4),
        )
        groups.setdefault((rejected, name), []).append(point)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "marker": {"symbol": "x" if rejected else "circle", "size": 6},
                "x": [at for at, _ in points],
                "y": [value for _, value in points],
            }
            for (rejected, name), points in sorted(groups.items())
        ],
        "layout": {
            "yaxis": {"title": {"text": f"5th percentile run, {unit.name}"}},
            "xaxis": {"type": "date"},
            "legend": {"orientation": "h", "y": 1.12},
        },
    }


def observed(conditions: Conditions) -> Sequence[str]:
    """What was observed around a visit, in words; what the device does not say is left out."""
    observations = []
    for name, word, unit in _OBSERVED:
        value = getattr(conditions, name)
        if value is not None:
            observations.append(f"{word} {value:.4g} {unit}".strip())
    return observations
