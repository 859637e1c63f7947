"""A first table for a target out of another one's, after a check of what both have measured."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from netspec.operators import PRECISIONS, Operator, Precision
from netspec.wire import JobRequest, TransferOfPrecision, TransferRequest
from netspec.wire import Transfer as TransferAnswer
from profiler_server.devices import repository as devices
from profiler_server.devices.service import require_target
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import repository as measurements
from profiler_server.entries.priced_operators import Table, priced, table_of
from profiler_server.jobs import repository as jobs_of
from profiler_server.jobs import service as jobs
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.latency_model.adaptive import next_operators
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.transfer import LEAST_SHARED, FittedTransfer, transfer
from profiler_server.latency_tables import service as tables

#: visits of each operator that a check measures
ROUNDS = 10


def carry_over(
    session: Session,
    settings: Settings,
    target_id: str,
    request: TransferRequest,
    token_id: str | None,
) -> TransferAnswer:
    """Fills in the entries that only the source has; may be repeated until it is not `measuring`.

    Each is the source's entry times the precision's factor, dated and counted as that one, with
    an interval of its own; entries of the target itself stay as they are. The table is published
    with them.

    Args:
        session: a writing transaction.
        settings: tell which visits are fresh.
        target_id: whose table is filled.
        request: from where, and how near the two must be.
        token_id: whose the job is that measures a sample; None: a command of the server's.

    Raises:
        Problem: `unknown-target`, or `not-transferable` when too little is measured on both.
    """
    source_id = request.source_target_id
    require_target(session, source_id)
    require_target(session, target_id)
    if source_id == target_id:
        raise Problem("not-transferable", f"{target_id} is the source itself; name another target")
    devices.lock_targets(session, {target_id})
    theirs, ours = _tables(session, source_id), _tables(session, target_id)
    name = f"check of {request.measure} before a transfer from {source_id}"
    last = jobs_of.latest_of_name(session, target_id, name)
    job_id = None if last is None else last.id
    if last is None and (sample := _sample(request.measure, theirs, ours)):
        check = JobRequest(name=name, target_id=target_id, operators=sample, rounds=ROUNDS)
        job_id = jobs.create(session, settings, check, token_id).id
    if job_id is not None and jobs_of.has_open_tasks(session, job_id):
        return TransferAnswer(
            source_target_id=source_id, target_id=target_id, state="measuring", job_id=job_id
        )
    found = [
        (precision, transfer(_prices(theirs[precision]), _prices(ours[precision])))
        for precision in PRECISIONS
        if len(theirs[precision].keys() & ours[precision].keys()) >= LEAST_SHARED
    ]
    if not found:
        raise _too_little(source_id, target_id, job_id)
    agreeing = [one for one in found if one[1].mape_percent <= request.within_percent]
    for precision, one in agreeing:
        rows = [_row(source_id, target_id, theirs[precision], one, key) for key in one.transferred]
        derived.put_entries(session, target_id, rows)
    filled = any(one.transferred for _, one in agreeing)
    return TransferAnswer(
        source_target_id=source_id,
        target_id=target_id,
        state="filled" if len(agreeing) == len(found) else "refused",
        precisions=tuple(
            TransferOfPrecision(
                precision=precision,
                shared=one.shared,
                factor=one.factor,
                mape_percent=one.mape_percent,
                worst_percent=one.worst_percent,
                worst_operator=one.worst,
                filled=len(one.transferred) if (precision, one) in agreeing else 0,
            )
            for precision, one in found
        ),
        # Else searches would go by a table without what look-ups already tell.
        snapshot_id=tables.publish_again(session, target_id) if filled else None,
    )


def _tables(session: Session, target_id: str) -> dict[Precision, Table]:
    """What is measured on the target; what was filled in itself is no measurement."""
    found = measurements.entries_of_target(session, target_id)
    return {
        precision: {
            key: (operator, entry)
            for key, (operator, entry) in table_of(found, precision).items()
            if entry.method != derived.FITTED and entry.value_ms > 0
        }
        for precision in PRECISIONS
    }


def _sample(
    measure: int, theirs: Mapping[Precision, Table], ours: Mapping[Precision, Table]
) -> tuple[Operator, ...]:
    """The source's operators to measure on the target, until both have `measure` a precision."""
    sample: list[Operator] = []
    for precision in PRECISIONS:
        shared = theirs[precision].keys() & ours[precision].keys()
        candidates = [
            operator for key, (operator, _) in theirs[precision].items() if key not in shared
        ]
        wanted = min(measure - len(shared), len(candidates))
        if wanted > 0:
            sample += next_operators(candidates, [], wanted)
    return tuple(sample)


def _too_little(source_id: str, target_id: str, job_id: str | None) -> Problem:
    what_to_do = f"measure some of the source's on {target_id} first, or let `measure` do it"
    if job_id is not None:
        what_to_do = (
            f"GET /v1/jobs/{job_id} says what the check of them came to; "
            f"POST /v1/jobs/{job_id}:retry tries again what failed, a greater `measure` others"
        )
    return Problem(
        "not-transferable",
        f"fewer than {LEAST_SHARED} operators are measured on both {source_id} and {target_id}; "
        f"{what_to_do}",
    )


def _prices(table: Table) -> dict[str, Priced]:
    return {key: priced(entry) for key, (_, entry) in table.items()}


def _row(
    source_id: str, target_id: str, source: Table, found: FittedTransfer, key: str
) -> dict[str, object]:
    operator, entry = source[key]
    price = found.prices[key]
    low_ms, high_ms = price.interval_ms()
    return {
        "target_id": target_id,
        "subject_hash": operator.content_hash,
        "method": derived.FITTED,
        "fitted_from": source_id,
        "value_ms": price.value_ms,
        "low_ms": low_ms,
        "high_ms": high_ms,
        "visits": entry.visits,
        "measured_at": entry.measured_at,
    }
