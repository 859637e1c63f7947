"""A target's table of one precision, as the latency model takes it."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.operators import Operator, Precision
from netspec.wire import Entry, OperatorSubject
from profiler_server.entries import isolated
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.latency_model.design import Priced

#: operators with their entries, by key
Table = dict[str, tuple[Operator, Entry]]


def table_of(entries: Iterable[EntryOfSubject], precision: Precision) -> Table:
    """The operators among a target's entries that have this precision."""
    table: Table = {}
    for row, subject in entries:
        if subject.kind == "operator" and subject.precision == precision:
            operator = OperatorSubject.model_validate_json(subject.document).operator
            table[operator.key] = (operator, isolated.to_wire((row, subject)))
    return table


def priced(entry: Entry) -> Priced:
    """An entry's value with its relative error."""
    return Priced.of_entry(entry.value_ms, entry.low_ms, entry.high_ms, entry.visits)
