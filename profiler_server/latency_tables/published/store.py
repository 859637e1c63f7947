"""Published tables in and out of the database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from netspec.errors import UserError
from netspec.networks import Network
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from netspec.validation import first_problem
from netspec.wire import Calibration, NetworkSubject, OperatorSubject, PublishRequest, Subject
from profiler_server.devices import repository as devices
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import repository as measurements
from profiler_server.kit.sql.bulk import Row
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables import imports_repository, service
from profiler_server.latency_tables.published import plausibility
from profiler_server.latency_tables.published.formats.table import Price, ReadTable, first_of
from profiler_server.latency_tables.published.names import FormatName
from profiler_server.subjects.repository import ensure_subjects

#: a network whose known latency is so many times the sum of its operators, or less, is doubted
_MOST_TIMES = 3.0


@dataclass(frozen=True)
class NetworkLatency:
    """A whole network's latency, known with a published table."""

    network: Network
    #: ms
    value_ms: float


@dataclass(frozen=True)
class ImportedFile:
    """A file with what it says."""

    name: str
    sha256: str
    table: ReadTable


@dataclass(frozen=True)
class Import:
    """What is to be imported, and the target that it becomes or joins."""

    target: TargetIdentity
    format: FormatName
    #: of everything; None: the files name it
    precision: Precision | None
    files: tuple[ImportedFile, ...]
    networks: tuple[NetworkLatency, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What an import came to."""

    #: stored now, of operators and networks
    entries: int
    #: names of the files that the target had already
    known: tuple[str, ...]


def identity(
    format_name: FormatName, precision: Precision | None, facts: Mapping[str, Any]
) -> TargetIdentity:
    """The target of imported files: several of one device and one precision have one.

    The hash of `imported FORMAT` stands for the unknown protocol, and that of `unknown` for the
    runtime's binary: no measurement can have either, so that imported and measured entries never
    meet on one target. Nor do those of a file that was read in two precisions.

    Raises:
        UserError: a fact is not one that a target can have.
    """
    hashes = {
        "runtime_sha256": hashlib.sha256(b"unknown").hexdigest(),
        "protocol": hashlib.sha256(f"imported {format_name}".encode()).hexdigest(),
    }
    try:
        return TargetIdentity.model_validate({**facts, **hashes, "precision": precision})
    except ValidationError as error:
        raise UserError(f"this is no target: {first_problem(error, TargetIdentity)}") from error


def import_files(session: Session, wanted: Import, *, sure: bool) -> Imported:
    """Stores and publishes what the target does not have yet; all of it, or nothing.

    Args:
        session: a writing transaction.
        wanted: what to import.
        sure: take what is doubted, too.

    Raises:
        UserError: the files are not of one device, are doubted, or a network lacks operators.
    """
    _require_distinct(wanted.files)
    target_id = wanted.target.id
    known = imports_repository.files_of(session, target_id)
    new = [file for file in wanted.files if file.sha256 not in known]
    prices = pooled(price for file in new for price in file.table.prices)
    _require_plausible(session, wanted, new, prices, sure=sure)
    before = _prices_of(session, target_id)
    _require_one_device(wanted, new, before)
    keys = {price.operator.key for price in prices}
    merged = pooled([*(one for one in before if one.operator.key in keys), *prices])
    networks = _new_networks(session, wanted)
    _require_operators(networks, {one.operator.key for one in (*before, *merged)}, target_id)
    store(session, wanted.target, ReadTable(tuple(merged), {}))
    _store_networks(session, target_id, networks)
    for file in new:
        imports_repository.add(
            session,
            target_id,
            sha256=file.sha256,
            name=file.name,
            format_name=wanted.format,
            precision=wanted.precision,
            entries=len(file.table.prices),
        )
    if new or networks:
        # Nothing will be added to it by itself: it can be fetched and searched with at once.
        service.publish(session, target_id, PublishRequest(), _calibrations(wanted.files))
    return Imported(
        entries=len(merged) + len(networks),
        known=tuple(file.name for file in wanted.files if file not in new),
    )


def pooled(prices: Iterable[Price]) -> list[Price]:
    """One price for each operator: the mean of its prices, each counting as often as measured.

    Its interval holds all of theirs.
    """
    found: dict[str, list[Price]] = {}
    for price in prices:
        found.setdefault(price.operator.key, []).append(price)
    return [_mean(several) if len(several) > 1 else several[0] for several in found.values()]


def store(session: Session, target: TargetIdentity, table: ReadTable) -> None:
    """Makes the table's prices entries of the target; where they have no date, of now."""
    now = database_now(session)
    devices.ensure_targets(session, [target], None, now)
    devices.lock_targets(session, {target.id})
    subjects = [OperatorSubject(operator=price.operator) for price in table.prices]
    rows = [
        {
            **_entry(target.id, subject, price.value_ms),
            "low_ms": price.low_ms,
            "high_ms": price.high_ms,
            "visits": price.count,
            "measured_at": price.measured_at or now,
        }
        for subject, price in zip(subjects, table.prices, strict=True)
    ]
    ensure_subjects(session, subjects)
    derived.put_entries(session, target.id, rows)


def _store_networks(session: Session, target_id: str, networks: Sequence[NetworkLatency]) -> None:
    now = database_now(session)
    subjects = [NetworkSubject(network=one.network) for one in networks]
    ensure_subjects(session, subjects)
    rows = [
        {**_entry(target_id, subject, one.value_ms), "measured_at": now}
        for subject, one in zip(subjects, networks, strict=True)
    ]
    derived.put_entries(session, target_id, rows)


def _entry(target_id: str, subject: Subject, value_ms: float) -> Row:
    return {
        "target_id": target_id,
        "subject_hash": subject.content_hash,
        "method": measurements.IMPORTED,
        "value_ms": value_ms,
        "low_ms": value_ms,
        "high_ms": value_ms,
        "visits": 1,
    }


def _mean(prices: Sequence[Price]) -> Price:
    count = sum(price.count for price in prices)
    value = sum(price.value_ms * price.count for price in prices) / count
    return replace(
        prices[0],
        value_ms=value,
        low_ms=min(price.low_ms for price in prices),
        high_ms=max(price.high_ms for price in prices),
        count=count,
    )


def _prices_of(session: Session, target_id: str) -> list[Price]:
    """What the target's entries say of operators."""
    return [
        Price(
            OperatorSubject.model_validate_json(subject.document).operator,
            entry.value_ms,
            entry.low_ms,
            entry.high_ms,
            entry.visits,
            entry.measured_at,
        )
        for entry, subject in measurements.entries_of_target(session, target_id)
        if subject.kind == "operator"
    ]


def _require_distinct(files: Sequence[ImportedFile]) -> None:
    """Checks that no file is given twice: its measurements would count twice.

    Raises:
        UserError: naming both.
    """
    names: dict[str, str] = {}
    for file in files:
        if file.sha256 in names:
            raise UserError(
                f"nothing was imported: {names[file.sha256]} and {file.name} are the same file; "
                "name it once"
            )
        names[file.sha256] = file.name


def _require_plausible(
    session: Session,
    wanted: Import,
    new: Sequence[ImportedFile],
    prices: Sequence[Price],
    *,
    sure: bool,
) -> None:
    """Checks what somebody may know to be right all the same.

    Raises:
        UserError: naming every doubt.
    """
    if sure:
        return
    doubts = [
        f"{file.name} is a table of target {row.target_id} already, imported "
        f"{row.imported_at:%Y-%m-%d} as {row.format} {row.precision or ''}".rstrip()
        + ": one file is true for one device and one precision; DELETE "
        f"/v1/targets/{row.target_id} if that was the mistake"
        for file in new
        for row in imports_repository.of_file(session, file.sha256)
        if row.target_id != wanted.target.id
    ]
    doubts += plausibility.doubts(prices) if prices else []
    sums = {price.operator.key: price.value_ms for price in prices}
    for one in wanted.networks:
        sum_ms = sum(sums.get(operator.key, 0.0) for operator in one.network.operators)
        covered = all(operator.key in sums for operator in one.network.operators)
        if covered and not sum_ms / _MOST_TIMES <= one.value_ms <= sum_ms * _MOST_TIMES:
            doubts.append(
                f"{one.network.name} takes {one.value_ms:g} ms, its operators {sum_ms:.4g} ms"
            )
    if doubts:
        raise UserError(
            f"nothing was imported: {'; '.join(doubts)}; import it all the same with --yes"
        )


def _require_one_device(
    wanted: Import, new: Sequence[ImportedFile], before: Sequence[Price]
) -> None:
    """Checks that prices which come together on a target can be of one device.

    Raises:
        UserError: two files, or a file and the target, cannot.
    """
    known, where = list(before), f"target {wanted.target.id}"
    for file in new:
        if why := plausibility.disagreement(known, file.table.prices) if known else "":
            raise UserError(
                f"nothing was imported: {file.name} is not of the device of {where}: {why}. Give "
                "its own --device-model, --soc, --os-build, --runtime, --threads or --affinity, "
                "and it becomes another target"
            )
        known, where = [*known, *file.table.prices], f"{where} and {file.name}"


def _new_networks(session: Session, wanted: Import) -> list[NetworkLatency]:
    """Those that the target does not have yet.

    Raises:
        UserError: the target has another latency of one, or it is given twice.
    """
    stored = {
        subject.hash: entry.value_ms
        for entry, subject in measurements.entries_of_target(session, wanted.target.id)
        if subject.kind == "network"
    }
    new: dict[str, NetworkLatency] = {}
    for one in wanted.networks:
        known = stored.get(one.network.content_hash)
        other = new.setdefault(one.network.content_hash, one)
        if known not in (None, one.value_ms) or other.value_ms != one.value_ms:
            raise UserError(
                f"nothing was imported: {one.network.name} is given {one.value_ms:g} ms and "
                f"{other.value_ms if known is None else known:g} ms; a network has one latency"
            )
    return [one for key, one in new.items() if key not in stored]


def _require_operators(
    networks: Sequence[NetworkLatency], keys: Iterable[str], target_id: str
) -> None:
    known = set(keys)
    for one in networks:
        missing = sorted({operator.key for operator in one.network.operators} - known)
        if missing:
            raise UserError(
                f"nothing was imported: {one.network.name} cannot be calibrated on, for the table "
                f"of target {target_id} lacks {len(missing)} of its operators: {first_of(missing)}"
            )


def _calibrations(files: Sequence[ImportedFile]) -> tuple[Calibration, ...]:
    """Those that the files carry: a snapshot alone does."""
    return files[0].table.calibrations if len(files) == 1 else ()
