"""Taking visits back. They stay, marked; all that was made of them is made again without them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from netspec.wire import Retraction, RetractionQuery, RetractionRequest, VisitChoice
from profiler_server.devices import repository as devices
from profiler_server.energies import repository as energies
from profiler_server.energies.rows import EnergyMeasurementRow
from profiler_server.entries import derivation, details
from profiler_server.entries import derived_repository as derived
from profiler_server.entries.rows import RetractionRow, VisitRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import progress
from profiler_server.kit.ids import new_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.latency_tables import service as tables
from profiler_server.retractions import repository


def retract(session: Session, request: RetractionRequest, token_id: str | None) -> Retraction:
    """Takes visits and measurements of energy back: all is made again without them.

    Tasks that are done stay so; the same job filed again measures what is missing now.

    Args:
        session: a writing transaction; uploads for the targets wait for it.
        request: which visits, and why.
        token_id: who asks; None: a command beside the database.

    Raises:
        Problem: `no-such-visits`: there are none, or all were taken back before.
    """
    which = repository.chosen(request)
    counted = repository.chosen(request, EnergyMeasurementRow)
    target_ids = devices.lock_targets(
        session,
        repository.targets(session, which)
        | repository.targets(session, counted, EnergyMeasurementRow),
    )
    now = database_now(session)
    row = RetractionRow(
        id=new_id("retraction"),
        at=now,
        token_id=token_id,
        reason=request.reason,
        choice=VisitChoice(**request.model_dump(exclude={"reason"})).model_dump_json(
            exclude_none=True
        ),
        visits=0,
    )
    row.visits = repository.take_back(session, which & VisitRow.target_id.in_(target_ids), row.id)
    row.visits += repository.take_back(
        session,
        counted & EnergyMeasurementRow.target_id.in_(target_ids),
        row.id,
        EnergyMeasurementRow,
    )
    if row.visits == 0:
        raise Problem(
            "no-such-visits",
            "no visit is like that that was not taken back before; "
            "GET /v1/targets/TARGET/entries/HASH/visits lists an entry's",
        )
    session.add(row)
    session.flush()
    first_stored = repository.first_stored(session, row.id)
    derivation.rederive(session, first_stored)
    _derive_energies(session, row.id, first_stored)
    progress.recount_targets(session, first_stored)
    for target_id, since in sorted(first_stored.items()):
        tables.withdraw(session, target_id, since)
    events.append(session, now, EventKind.VISITS_RETRACTED, retraction_id=row.id, visits=row.visits)
    return details.to_wire(row, repository.name_of(session, token_id))


def _derive_energies(session: Session, retraction_id: str, first: dict[str, datetime]) -> None:
    """Derives the energies anew that a retraction took measurements of.

    Args:
        session: a writing transaction that holds the targets' locks.
        retraction_id: of the retraction.
        first: gets the moment from which snapshots may hold one of these, by target.
    """
    for target_id, subject_hash in repository.energies(session, retraction_id):
        energies.derive(session, target_id, subject_hash)
    stored = repository.first_stored(session, retraction_id, EnergyMeasurementRow)
    for target_id, at in stored.items():
        derived.refresh_energies(session, target_id)
        first[target_id] = min(at, first.get(target_id, at))


def latest(session: Session, query: RetractionQuery) -> Page[Retraction]:
    """What was taken back, as far as a query asks for it, by default the newest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.latest(session, query)
    return page.with_items([details.to_wire(row, by) for row, by in page.items])
