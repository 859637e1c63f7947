"""Looking up many entries at once, and predicting whole networks from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from netspec.console.units import latency_text
from netspec.equivalents import equivalents
from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.protocol import TargetIdentity
from netspec.wire import (
    Assembly,
    Calibration,
    Entry,
    LookedUpLatencies,
    LookedUpLatency,
    NetworkSubject,
    PredictedEnergy,
    Prediction,
    TargetLatencies,
)
from profiler_server.devices.service import require_target
from profiler_server.entries import isolated
from profiler_server.entries import repository as measurements
from profiler_server.entries.derived_repository import FITTED
from profiler_server.entries.priced_operators import priced, table_of
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_model.design import INTERVAL_SIGMAS
from profiler_server.latency_tables import published_calibrations, service
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from profiler_server.latency_tables.lookups.factors import operator_factors
from profiler_server.latency_tables.lookups.unmeasured import OperatorModels, Unmeasured
from profiler_server.latency_tables.published_calibrations import PublishedCalibrations


def latencies(
    session: Session,
    settings: Settings,
    target_id: str,
    operators: Sequence[Operator],
    models: OperatorModels | None = None,
) -> LookedUpLatencies:
    """What the target's table says of each operator, in their order.

    Args:
        session: reads.
        settings: tell what is fresh.
        target_id: whose table.
        operators: to look up.
        models: predict what has no entry; None: nothing is predicted.

    Raises:
        Problem: `unknown-target`.
    """
    require_target(session, target_id)
    hashes = {operator.content_hash for operator in operators}
    entries = measurements.entries_of_subjects(session, target_id, hashes)
    doubted = {row.subject_hash for row, _ in entries if row.held_back}
    found = {one[0].subject_hash: isolated.to_wire(one) for one in entries if not one[0].held_back}
    found |= _of_equivalents(session, target_id, operators, found.keys() | doubted)
    fresh_since = database_now(session) - timedelta(days=settings.fresh_days)
    lacking = [operator for operator in operators if operator.content_hash not in found]
    unmeasured = Unmeasured({}, {})
    if models is not None:
        unmeasured = _unmeasured(session, target_id, lacking, models)
    predicted = unmeasured.predicted

    def of(operator: Operator) -> LookedUpLatency:
        entry, key = found.get(operator.content_hash), operator.key
        if entry is None:
            return LookedUpLatency(
                key=key,
                state="predicted" if key in predicted else "missing",
                entry=None,
                predicted=predicted.get(key),
                nearest=unmeasured.too_far.get(key, ()),
                held_back=operator.content_hash in doubted,
            )
        fresh = entry.measured_at >= fresh_since
        return LookedUpLatency(key=key, state="hit" if fresh else "stale", entry=entry)

    return LookedUpLatencies(target_id=target_id, latencies=tuple(map(of, operators)))


def of_target(
    session: Session,
    settings: Settings,
    target_id: str,
    operators: Sequence[Operator],
    models: OperatorModels | None = None,
) -> TargetLatencies:
    """`latencies`, and what they are true for.

    Raises:
        Problem: `unknown-target`.
    """
    found = latencies(session, settings, target_id, operators, models)
    published = published_calibrations.latest(session, target_id)
    identity = require_target(session, target_id).identity
    return TargetLatencies(
        target_id=target_id,
        latencies=found.latencies,
        identity=TargetIdentity.model_validate_json(identity),
        snapshot_id=published.snapshot_id if published else None,
    )


def predict(
    session: Session,
    settings: Settings,
    target_id: str,
    network: Network | Assembly,
    origins: CalibrationOrigins,
    models: OperatorModels | None = None,
) -> Prediction:
    """The network's latency: the sum of its entries, mapped by the latest calibration if any.

    Its interval is the calibration's, wider by what single entries and predictions may be off, and
    by how far entries have moved since the calibration was fitted.

    Args:
        session: reads.
        settings: tell what is fresh.
        target_id: whose table.
        network: of one precision.
        origins: tell the entries that calibrations were fitted to.
        models: predict what has no entry; None: then there is no prediction.

    Raises:
        Problem: `unknown-target`, `missing-entry` naming every operator without entry or
            prediction, or `not-calibrated`: it mixes precisions, or is below what is calibrated.
    """
    looked_up = latencies(session, settings, target_id, network.operators, models).latencies
    _require_all(target_id, looked_up)
    precision = _precision(network)
    published = published_calibrations.latest(session, target_id)
    snapshot_id = published.snapshot_id if published else None
    fitted = next((c for c in _of(published) if c.precision == precision), None)
    # Nobody can measure whole networks of an imported table: then the sum is all there is.
    calibration = fitted or Calibration(
        precision=precision, scale=1.0, intercept_ms=0.0, networks=(), held_out=None
    )
    operators = list(map(_as_measured, network.operators, looked_up))
    factors = operator_factors(calibration, operators)
    parts_ms = [factor * _value_ms(one) for factor, one in zip(factors, looked_up, strict=True)]
    sum_ms = sum(parts_ms)
    unmeasured_ms = sum(
        part_ms
        for part_ms, one in zip(parts_ms, looked_up, strict=True)
        if one.state == "predicted"
    )
    predicted_ms = calibration.predict_ms(sum_ms)
    if predicted_ms < 0:
        raise Problem(
            "not-calibrated",
            f"snapshot {snapshot_id} predicts {latency_text(predicted_ms)} for {network.name}: "
            "it is too far below the networks that were measured; measure it with POST /v1/jobs, "
            f"then POST /v1/targets/{target_id}/snapshots",
        )
    changes = _NO_CHANGES
    unlike: tuple[str, ...] = ()
    if fitted is not None and published is not None:
        before_ms = origins.values_ms(session, published.snapshot_id)
        changes = _changes(before_ms, factors, looked_up, sum_ms)
        unlike = fitted.unlike(operators, parts_ms)
    low_ms = high_ms = None
    if calibration.interval_factor is not None:
        doubt = _doubt(factors, looked_up) / sum_ms if sum_ms else 0.0
        logarithm = math.log(calibration.interval_factor)
        width = math.exp(math.hypot(logarithm, doubt, changes.percent / 100))
        low_ms, high_ms = predicted_ms / width, predicted_ms * width
    return Prediction(
        target_id=target_id,
        name=network.name,
        subject_hash=network.content_hash,
        precision=precision,
        calibrated=fitted is not None,
        sum_ms=sum_ms,
        predicted_ms=predicted_ms,
        low_ms=low_ms,
        high_ms=high_ms,
        snapshot_id=snapshot_id,
        held_out=calibration.held_out,
        stale=tuple(sorted({one.key for one in looked_up if one.state == "stale"})),
        predicted=tuple(sorted({one.key for one in looked_up if one.state == "predicted"})),
        predicted_share=min(1.0, unmeasured_ms / sum_ms) if sum_ms else 0.0,
        changed=changes.keys,
        changed_percent=changes.percent,
        unlike=unlike,
        energy=_energy(calibration, looked_up),
    )


def _energy(
    calibration: Calibration, looked_up: Sequence[LookedUpLatency]
) -> PredictedEnergy | None:
    parts = [one.entry.energy for one in looked_up if one.entry is not None]
    known = [part for part in parts if part is not None]
    if len(known) < len(looked_up):
        return None
    scale = calibration.energy
    return PredictedEnergy(
        value_mj=sum(part.value_mj for part in known) * (scale.scale if scale else 1.0),
        meter=known[0].meter,
        scaled=scale is not None,
        held_out=None if scale is None else scale.held_out,
    )


@dataclass(frozen=True)
class _Changes:
    """Entries of a network that are others than when its calibration was fitted."""

    #: by canonical key of the operator asked for
    keys: tuple[str, ...]
    #: of the sum, by those that were there before
    percent: float


_NO_CHANGES = _Changes((), 0.0)


def _changes(
    values_before_ms: Mapping[str, float],
    factors: Sequence[float],
    looked_up: Sequence[LookedUpLatency],
    sum_ms: float,
) -> _Changes:
    keys: set[str] = set()
    moved_ms = 0.0
    for factor, one in zip(factors, looked_up, strict=True):
        if one.entry is None:
            continue
        before_ms = values_before_ms.get(one.entry.name)
        if before_ms != one.entry.value_ms:
            keys.add(one.key)
            moved_ms += 0.0 if before_ms is None else factor * (one.entry.value_ms - before_ms)
    before_sum_ms = sum_ms - moved_ms
    percent = 100 * moved_ms / before_sum_ms if before_sum_ms > 0 else 0.0
    return _Changes(tuple(sorted(keys)), percent)


def _of_equivalents(
    session: Session, target_id: str, operators: Sequence[Operator], known: Collection[str]
) -> dict[str, Entry]:
    """Entries of other kinds that are the same computation, by the hash of the one asked for."""
    twins = {
        twin.content_hash: operator.content_hash
        for operator in operators
        if operator.content_hash not in known
        for twin in equivalents(operator)
    }
    if not twins:
        return {}
    entries = measurements.entries_of_subjects(session, target_id, twins.keys())
    return {
        twins[one[0].subject_hash]: isolated.to_wire(one) for one in entries if not one[0].held_back
    }


def _as_measured(operator: Operator, found: LookedUpLatency) -> Operator:
    """The operator that its entry names: calibrations know the computation by that kind."""
    if found.entry is None or found.entry.name == operator.key:
        return operator
    return next(twin for twin in equivalents(operator) if twin.key == found.entry.name)


def _unmeasured(
    session: Session, target_id: str, lacking: Sequence[Operator], models: OperatorModels
) -> Unmeasured:
    found = Unmeasured({}, {})
    if lacking:
        everything = measurements.entries_of_target(session, target_id)
        for precision in sorted({operator.precision for operator in lacking}):
            wanted = [operator for operator in lacking if operator.precision == precision]
            of_precision = models.predict(table_of(everything, precision), wanted)
            found.predicted.update(of_precision.predicted)
            found.too_far.update(of_precision.too_far)
    return found


def _require_all(target_id: str, looked_up: Sequence[LookedUpLatency]) -> None:
    missing = {one.key: one for one in looked_up if one.state == "missing"}
    doubted = [key for key in sorted(missing) if missing[key].held_back]
    lacking = [key for key in sorted(missing) if not missing[key].held_back]
    said = []
    if lacking:
        keys = ", ".join(map(_lacking, map(missing.__getitem__, lacking)))
        said.append(
            f"the table of target {target_id} lacks {keys}; measure them with POST /v1/jobs"
        )
    if doubted:
        said.append(service.held_back(target_id, doubted))
    if said:
        raise Problem("missing-entry", "; ".join(said))


def _lacking(one: LookedUpLatency) -> str:
    if not one.nearest:
        return one.key
    return (
        f"{one.key} (too far from all that was measured for a prediction; the nearest: "
        f"{', '.join(one.nearest)})"
    )


def _value_ms(one: LookedUpLatency) -> float:
    found = one.entry or one.predicted
    assert found is not None  # noqa: S101 (missing ones were refused)
    return found.value_ms


def _doubt(factors: Sequence[float], looked_up: Sequence[LookedUpLatency]) -> float:
    """Half width (ms) of the interval that single operators add to a sum."""
    together_ms = 0.0
    #: by operator: the same one twice in a network is off by the same both times
    single_ms: dict[str, float] = {}
    for factor, one in zip(factors, looked_up, strict=True):
        if one.entry is not None and one.entry.method != FITTED:
            half_ms = INTERVAL_SIGMAS * priced(one.entry).relative_error * one.entry.value_ms
            single_ms[one.key] = single_ms.get(one.key, 0.0) + factor * half_ms
        elif (found := one.entry or one.predicted) is not None:
            # What was not measured here is off together, too. Added up it is never too narrow.
            together_ms += factor * (found.high_ms - found.low_ms) / 2
    return math.hypot(together_ms, *single_ms.values())


def _precision(network: Network | Assembly) -> Precision:
    subject = NetworkSubject(network=network) if isinstance(network, Network) else network
    precision = subject.precision
    if precision is None:
        raise Problem(
            "not-calibrated",
            f"{network.name} mixes precisions, and a calibration holds for one; "
            "measure the network with POST /v1/jobs",
        )
    return precision


def _of(published: PublishedCalibrations | None) -> Sequence[Calibration]:
    return published.calibrations if published else ()
