"""What a target gets from a sibling's table: read, fitted to what both measured, and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.operators import Precision
from netspec.wire import Entry, NetworkSubject, OperatorSubject, Subject
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import isolated
from profiler_server.entries import repository as measurements
from profiler_server.entries.priced_operators import Table, priced, table_of
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.kit.sql.bulk import Row
from profiler_server.latency_model.design import MeasuredNetwork, Priced
from profiler_server.latency_model.sibling import LEAST_OBSERVED, BroughtOver, SiblingTable
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class Siblings:
    """A source's table of one precision, and what the target itself has measured of it.

    Networks go by their hashes, operators by their keys.
    """

    source_id: str
    #: entries of the source
    theirs: Table
    networks: Mapping[str, NetworkSubject]
    table: SiblingTable
    #: measured on the target
    own: Mapping[str, Priced]

    def subjects(self, names: Sequence[str]) -> list[Subject]:
        """The operators and networks of these names."""
        return [
            self.networks[name]
            if name in self.networks
            else OperatorSubject(operator=self.theirs[name][0])
            for name in names
        ]


def read(session: Session, source_id: str, target_id: str, precision: Precision) -> Siblings | None:
    """Two targets' entries; None where the source has too few operators to choose from."""
    found = _measured(session, source_id)
    theirs = {key: one for key, one in table_of(found, precision).items() if one[1].value_ms > 0}
    if len(theirs) < LEAST_OBSERVED:
        return None
    networks = {
        subject.hash: (NetworkSubject.model_validate_json(subject.document), priced(entry))
        for subject, entry in _networks(found, precision)
    }
    measured = _measured(session, target_id)
    own = {
        key: priced(entry)
        for key, (_, entry) in table_of(measured, precision).items()
        if entry.value_ms > 0
    }
    own |= {subject.hash: priced(entry) for subject, entry in _networks(measured, precision)}
    return Siblings(
        source_id=source_id,
        theirs=theirs,
        networks={key: subject for key, (subject, _) in networks.items()},
        table=SiblingTable(
            [operator for operator, _ in theirs.values()],
            [priced(entry) for _, entry in theirs.values()],
            [
                MeasuredNetwork(key, tuple(one.key for one in subject.network.operators), price)
                for key, (subject, price) in networks.items()
            ],
        ),
        own=own,
    )


def fill(session: Session, target_id: str, siblings: Siblings, found: BroughtOver) -> None:
    """Gives the target the entries that it has not measured, of the method `fitted`.

    Each is dated and counted as the source's.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: whose table is filled.
        siblings: where from.
        found: what they make likely.
    """
    rows: list[Row] = []
    for key in found.fitted:
        operator, entry = siblings.theirs[key]
        price = found.prices[key]
        low_ms, high_ms = price.interval_ms()
        rows.append(
            {
                "target_id": target_id,
                "subject_hash": operator.content_hash,
                "method": derived.FITTED,
                "fitted_from": siblings.source_id,
                "value_ms": price.value_ms,
                "low_ms": low_ms,
                "high_ms": high_ms,
                "visits": entry.visits,
                "measured_at": entry.measured_at,
            }
        )
    derived.put_entries(session, target_id, rows)


def _measured(session: Session, target_id: str) -> list[EntryOfSubject]:
    """Without what was filled in: that is no measurement."""
    found = measurements.entries_of_target(session, target_id)
    return [one for one in found if one[0].method != derived.FITTED]


def _networks(
    found: Sequence[EntryOfSubject], precision: Precision
) -> list[tuple[SubjectRow, Entry]]:
    return [
        (one[1], isolated.to_wire(one))
        for one in found
        if one[1].kind == "network" and one[1].precision == precision and one[0].value_ms > 0
    ]
