"""Publishing snapshots, and looking up single entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.equivalents import equivalents
from netspec.operators import PRECISIONS, Operator, Precision, content_hash
from netspec.protocol import TargetIdentity
from netspec.wire import (
    Calibration,
    Entry,
    NetworkSubject,
    PublishRequest,
    Snapshot,
    TargetEntry,
)
from profiler_server.devices.service import require_target
from profiler_server.entries import isolated
from profiler_server.entries import repository as measurements
from profiler_server.entries.priced_operators import table_of
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables import calibration, imports_repository, repository


def publish(
    session: Session,
    target_id: str,
    request: PublishRequest,
    given: Sequence[Calibration] = (),
) -> tuple[str, str, bool]:
    """Freezes the target's table; the same content gives the same snapshot.

    Args:
        session: a writing transaction.
        target_id: whose table.
        request: says what to calibrate on.
        given: calibrations that came with an imported table, for precisions in which no network
            is known.

    Returns:
        The snapshot's id, its JSON, and whether it is new.

    Raises:
        Problem: `unknown-target`, `empty-table` or `not-calibratable`.
    """
    identity = TargetIdentity.model_validate_json(require_target(session, target_id).identity)
    entries = measurements.entries_of_target(session, target_id)
    table = tuple(isolated.to_wire(entry) for entry in entries if entry[1].kind == "operator")
    if not table:
        raise Problem(
            "empty-table",
            f"no operator of target {target_id} has an entry; file a job with POST /v1/jobs first",
        )
    now = database_now(session)
    draft = Snapshot(
        id="0" * 64,
        target_id=target_id,
        identity=identity,
        created_at=now,
        entries=table,
        calibrations=_calibrations(entries, request.calibrate_on)
        or tuple(given)
        or _imported_calibrations(session, target_id, request),
        held_back=tuple(
            subject.name
            for _, subject in measurements.held_back(session, target_id)
            if subject.kind == "operator"
        ),
    )
    snapshot_id = content_hash(draft.model_dump(mode="json", exclude={"id", "created_at"}))
    stored = repository.document(session, snapshot_id)
    if stored is not None:
        repository.publish_again(session, snapshot_id, now)
        return snapshot_id, stored, False
    snapshot = draft.model_copy(update={"id": snapshot_id})
    document = snapshot.model_dump_json()
    repository.add(session, snapshot, document, now)
    events.append(
        session, now, EventKind.SNAPSHOT_PUBLISHED, snapshot_id=snapshot_id, target_id=target_id
    )
    return snapshot_id, document, True


def withdraw(session: Session, target_id: str, since: datetime) -> None:
    """Withdraws the snapshots published from `since` on, and publishes the table as it is now.

    It is calibrated on the networks of the last one, as far as these are still measured.
    """
    last = repository.latest_calibrations(session, target_id)
    if not repository.withdraw(session, target_id, since, database_now(session)):
        return
    found = measurements.entries_of_target(session, target_id)
    if any(subject.kind == "operator" for _, subject in found):
        calibrations = repository.CALIBRATIONS.validate_json(last[1]) if last else ()
        publish(session, target_id, _calibrated_as(calibrations, found))


def publish_again(session: Session, target_id: str) -> str:
    """Publishes the table as it is now, calibrated on the networks of the latest snapshot.

    Where none is published, on all networks that can be.

    Returns:
        The snapshot's id.

    Raises:
        Problem: `unknown-target` or `empty-table`.
    """
    last = repository.latest_calibrations(session, target_id)
    request = PublishRequest()
    if last is not None:
        calibrations = repository.CALIBRATIONS.validate_json(last[1])
        found = measurements.entries_of_target(session, target_id)
        request = _calibrated_as(calibrations, found)
    return publish(session, target_id, request)[0]


def _calibrated_as(
    calibrations: Sequence[Calibration], found: Sequence[EntryOfSubject]
) -> PublishRequest:
    """On the networks of these calibrations, as far as they are still measured."""
    wished = {network.subject_hash for one in calibrations for network in one.networks}
    values = {row.subject_hash: row.value_ms for row, _ in found}
    return PublishRequest(
        calibrate_on=tuple(
            subject.hash
            for _, subject in found
            if subject.hash in wished
            and not _obstacle(NetworkSubject.model_validate_json(subject.document), values)
        )
    )


def load(session: Session, snapshot_id: str) -> str:
    """A snapshot's JSON.

    Raises:
        Problem: `unknown-snapshot`.
    """
    document = repository.document(session, snapshot_id)
    if document is None:
        raise _unknown_snapshot(snapshot_id)
    return document


def require_snapshot(session: Session, snapshot_id: str) -> None:
    """Checks that there is such a snapshot.

    Raises:
        Problem: `unknown-snapshot`.
    """
    if not repository.exists(session, snapshot_id):
        raise _unknown_snapshot(snapshot_id)


def latest_id(session: Session, target_id: str) -> str:
    """The id of the target's latest snapshot.

    Raises:
        Problem: `unknown-target` or `unknown-snapshot`.
    """
    found = repository.latest_id(session, target_id)
    if found is None:
        require_target(session, target_id)
        raise Problem(
            "unknown-snapshot",
            f"no snapshot of target {target_id} is published yet; "
            f"POST /v1/targets/{target_id}/snapshots publishes one",
        )
    return found


def latency(session: Session, target_id: str, operator: Operator) -> TargetEntry:
    """The operator's entry, with what it is true for.

    Raises:
        Problem: `unknown-target`, or `missing-entry` naming the operator's key, also where the
            entry is held back.
    """
    identity = require_target(session, target_id).identity
    # What computes the same takes as long, whatever kind of operator it was measured as.
    for one in (operator, *equivalents(operator)):
        found = measurements.entry(session, target_id, one.content_hash)
        if found is not None:
            break
    if found is None:
        raise Problem(
            "missing-entry",
            f"the table of target {target_id} lacks {operator.key}; measure it with POST /v1/jobs",
        )
    if found[0].held_back:
        raise Problem("missing-entry", held_back(target_id, [operator.key]))
    return TargetEntry(
        **isolated.to_wire(found).model_dump(),
        target_id=target_id,
        identity=TargetIdentity.model_validate_json(identity),
        snapshot_id=repository.latest_id(session, target_id),
    )


def held_back(target_id: str, keys: Sequence[str]) -> str:
    """Why operators that are measured have no value, and what to do."""
    return (
        f"the table of target {target_id} holds back {', '.join(keys)}: devices that have measured "
        f"them disagree. GET /v1/targets/{target_id}/disagreement shows what each says; measure on "
        "one more device, or take the wrong one's visits back with POST /v1/visits:retract"
    )


def _calibrations(
    entries: Sequence[EntryOfSubject], calibrate_on: Sequence[str] | None
) -> tuple[Calibration, ...]:
    values = {row.subject_hash: row.value_ms for row, _ in entries}
    measured = {
        subject.hash: NetworkSubject.model_validate_json(subject.document)
        for _, subject in entries
        if subject.kind == "network"
    }
    if calibrate_on is not None:
        _check_calibratable(calibrate_on, measured, values)
        measured = {one: measured[one] for one in sorted(set(calibrate_on))}
    messages = {one[1].hash: isolated.to_wire(one) for one in entries}
    networks: dict[Precision, list[tuple[NetworkSubject, Entry]]] = {}
    for key, subject in sorted(measured.items(), key=lambda item: (item[1].name, item[0])):
        if subject.precision is not None and not _obstacle(subject, values):
            networks.setdefault(subject.precision, []).append((subject, messages[key]))
    return tuple(
        calibration.fit(precision, table_of(entries, precision), networks[precision])
        for precision in PRECISIONS
        if precision in networks
    )


def _imported_calibrations(
    session: Session, target_id: str, request: PublishRequest
) -> tuple[Calibration, ...]:
    """Those of an imported snapshot, whose networks are known by name alone."""
    if request.calibrate_on is not None or not imports_repository.files_of(session, target_id):
        return ()
    last = repository.latest_calibrations(session, target_id)
    if last is None:
        return ()
    return repository.CALIBRATIONS.validate_json(last[1])


def _check_calibratable(
    subject_hashes: Sequence[str],
    measured: Mapping[str, NetworkSubject],
    values: Mapping[str, float],
) -> None:
    obstacles = []
    for subject_hash in subject_hashes:
        subject = measured.get(subject_hash)
        why = "is not measured" if subject is None else _obstacle(subject, values)
        if why:
            obstacles.append(f"{subject_hash if subject is None else subject.name} {why}")
    if obstacles:
        raise Problem(
            "not-calibratable",
            f"{'; '.join(obstacles)}; measure what is missing, or leave the network out",
        )


def _obstacle(subject: NetworkSubject, values: Mapping[str, float]) -> str:
    operators = subject.network.operators
    if subject.precision is None:
        return "mixes precisions"
    missing = sorted(
        {operator.key for operator in operators if operator.content_hash not in values}
    )
    if missing:
        return f"has {len(missing)} operators without entry, the first is {missing[0]}"
    if values[subject.content_hash] <= 0 or _sum_ms(subject, values) <= 0:
        return "has a latency of 0 ms"
    return ""


def _sum_ms(subject: NetworkSubject, values: Mapping[str, float]) -> float:
    return sum(values[operator.content_hash] for operator in subject.network.operators)


def _unknown_snapshot(snapshot_id: str) -> Problem:
    return Problem(
        "unknown-snapshot",
        f"no snapshot {snapshot_id!r}; GET /v1/targets/TARGET/snapshots/latest names the latest",
    )
