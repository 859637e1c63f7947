"""Jobs with a budget: of the operators without entry only those that tell most of the others."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from netspec.operators import PRECISIONS, Operator
from netspec.wire import JobRequest, OperatorSubject, Subject
from profiler_server.latency_model.adaptive import next_operators
from profiler_server.measurements import repository as measurements
from profiler_server.measurements.share_repository import FITTED
from profiler_server.tables.table import Table, priced, table_of


def within_budget(
    session: Session, target_id: str, request: JobRequest, subjects: Sequence[Subject]
) -> list[Subject]:
    """The job's subjects without the operators that its budget has no room for.

    Operators with an entry, networks and models stay: the budget is for operators that nothing
    is known of. It is shared between the precisions by how many such operators they have.

    Args:
        session: reads.
        target_id: whose entries decide.
        request: has a budget.
        subjects: of the request.
    """
    found = measurements.entries_of_target(session, target_id)
    # What a sibling's table gave is no measurement.
    measured = [one for one in found if one[0].method != FITTED]
    tables = {precision: table_of(measured, precision) for precision in PRECISIONS}
    unknown = [
        subject.operator
        for subject in subjects
        if isinstance(subject, OperatorSubject)
        and subject.operator.key not in tables[subject.operator.precision]
    ]
    chosen: set[Operator] = set()
    left, budget = len(unknown), request.budget or 0
    for precision, table in tables.items():
        own = [operator for operator in unknown if operator.precision == precision]
        if not own:
            continue
        share = min(round(budget * len(own) / left), budget)
        chosen.update(_next(own, table, share, (request.enough_percent or 0.0) / 100))
        left, budget = left - len(own), budget - share
    dropped = set(unknown) - chosen
    return [
        subject
        for subject in subjects
        if not (isinstance(subject, OperatorSubject) and subject.operator in dropped)
    ]


def _next(unknown: list[Operator], table: Table, count: int, enough: float) -> list[Operator]:
    known = [(operator, priced(entry)) for operator, entry in table.values() if entry.value_ms > 0]
    return next_operators(unknown, known, count, enough=enough)
