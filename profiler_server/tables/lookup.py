"""Looking up many entries at once, and predicting whole networks from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    Calibration,
    Entry,
    LookedUpLatencies,
    LookedUpLatency,
    NetworkSubject,
    Prediction,
    Snapshot,
)
from profiler_server.devices.service import require_target
from profiler_server.kit.database import database_now
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.measurements import entries
from profiler_server.measurements import repository as measurements
from profiler_server.tables import service


def latencies(
    session: Session, settings: Settings, target_id: str, operators: Sequence[Operator]
) -> LookedUpLatencies:
    """What the target's table says of each operator, in their order.

    Raises:
        Problem: `unknown-target`.
    """
    require_target(session, target_id)
    hashes = {operator.content_hash for operator in operators}
    found = {
        entry.subject_hash: entry
        for entry in map(
            entries.to_wire, measurements.entries_of_subjects(session, target_id, hashes)
        )
    }
    fresh_since = database_now(session) - timedelta(days=settings.fresh_days)

    def of(operator: Operator) -> LookedUpLatency:
        entry = found.get(operator.content_hash)
        if entry is None:
            return LookedUpLatency(key=operator.key, state="missing", entry=None)
        fresh = entry.measured_at >= fresh_since
        return LookedUpLatency(key=operator.key, state="hit" if fresh else "stale", entry=entry)

    return LookedUpLatencies(target_id=target_id, latencies=tuple(map(of, operators)))


def predict(session: Session, settings: Settings, target_id: str, network: Network) -> Prediction:
    """The network's latency: the sum of its entries, mapped by the latest calibration.

    Raises:
        Problem: `unknown-target`, `missing-entry` naming every operator without entry,
            `unknown-snapshot` when none is published, or `not-calibrated`.
    """
    looked_up = latencies(session, settings, target_id, network.operators).latencies
    sum_ms = sum(entry.value_ms for entry in _all_entries(target_id, looked_up))
    snapshot_id = service.latest_id(session, target_id)
    snapshot = Snapshot.model_validate_json(service.load(session, snapshot_id))
    calibration = _calibration(snapshot, network)
    return Prediction(
        target_id=target_id,
        name=network.name,
        subject_hash=network.content_hash,
        precision=calibration.precision,
        sum_ms=sum_ms,
        predicted_ms=calibration.predict_ms(sum_ms),
        snapshot_id=snapshot_id,
        held_out=calibration.held_out,
        stale=tuple(sorted({one.key for one in looked_up if one.state == "stale"})),
    )


def _all_entries(target_id: str, looked_up: Sequence[LookedUpLatency]) -> list[Entry]:
    missing = sorted({one.key for one in looked_up if one.entry is None})
    if missing:
        raise Problem(
            "missing-entry",
            f"the table of target {target_id} lacks {', '.join(missing)}; "
            "measure them with POST /v1/jobs",
        )
    return [one.entry for one in looked_up if one.entry is not None]


def _calibration(snapshot: Snapshot, network: Network) -> Calibration:
    precision = NetworkSubject(network=network).precision
    if precision is None:
        raise Problem(
            "not-calibrated",
            f"{network.name} mixes precisions, and a calibration holds for one; "
            "measure the network with POST /v1/jobs",
        )
    found = snapshot.calibration(precision)
    if found is None:
        raise Problem(
            "not-calibrated",
            f"snapshot {snapshot.id} has no {precision} calibration; measure {precision} networks "
            f"with POST /v1/jobs, then POST /v1/targets/{snapshot.target_id}/snapshots",
        )
    return found
