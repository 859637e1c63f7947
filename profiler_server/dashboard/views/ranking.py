"""Which phone or runtime is best for a network: every target, the fastest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.wire import NetworkSubject, Target, TargetQuery
from profiler_server.dashboard.views import ranking_repository as repository
from profiler_server.devices import service as devices
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.latency_tables.lookups import lookup
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from profiler_server.subjects.rows import SubjectRow

#: networks that the form offers
_OFFERED = 50
#: targets that are asked for a prediction: each takes a look into its table
_MOST_PREDICTED = 50


@dataclass(frozen=True)
class Place:
    """One target with its latency."""

    target: Target
    value_ms: float
    #: 95 %; None where a prediction has no interval
    low_ms: float | None
    high_ms: float | None
    measured: bool


@dataclass(frozen=True)
class RankingView:
    """The page."""

    #: networks and models whose name has the words, by name
    offered: Sequence[SubjectRow]
    #: None: none is chosen
    chosen: SubjectRow | None
    #: the fastest first
    places: Sequence[Place]
    #: targets that neither measured it nor can predict it
    silent: Sequence[Target]


def read(
    session: Session,
    settings: Settings,
    origins: CalibrationOrigins,
    subject_hash: str,
    text: str,
) -> RankingView:
    """The page.

    Args:
        session: reads.
        settings: tell what is fresh.
        origins: tell what calibrations were fitted on.
        subject_hash: of a network or model; empty: none is chosen yet.
        text: words of the names to offer.

    Raises:
        Problem: `not-found`: there is no such network.
    """
    offered = repository.named(session, text, _OFFERED)
    if not subject_hash:
        return RankingView(offered, None, (), ())
    chosen = repository.subject(session, subject_hash)
    if chosen is None:
        raise Problem("not-found", "no network or model that was measured has this address")
    measured = repository.values(session, subject_hash)
    places: list[Place] = []
    silent: list[Target] = []
    page = devices.list_targets(session, TargetQuery(limit=_MOST_PREDICTED, sort="-entries")).items
    targets = {target.id: target for target in page}
    for target_id in measured.keys() - targets.keys():
        targets[target_id] = devices.get_target(session, target_id)
    for target in targets.values():
        row = measured.get(target.id)
        place = (
            Place(target, row.value_ms, row.low_ms, row.high_ms, measured=True)
            if row is not None
            else _predicted(session, settings, origins, target, chosen)
        )
        if place is None:
            silent.append(target)
        else:
            places.append(place)
    return RankingView(offered, chosen, sorted(places, key=lambda one: one.value_ms), silent)


def _predicted(
    session: Session,
    settings: Settings,
    origins: CalibrationOrigins,
    target: Target,
    chosen: SubjectRow,
) -> Place | None:
    if chosen.kind != "network" or not target.entries:
        return None
    subject = NetworkSubject.model_validate_json(chosen.document)
    try:
        found = lookup.predict(session, settings, target.id, subject.network, origins)
    except Problem as problem:
        # Its table lacks operators, or its calibration does not reach so far: it has no say.
        if problem.kind in ("missing-entry", "not-calibrated"):
            return None
        raise
    return Place(target, found.predicted_ms, found.low_ms, found.high_ms, measured=False)
