"""Taking visits back. They stay, marked; all that was made of them is made again without them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from netspec.wire import Retraction, RetractionQuery, RetractionRequest, VisitChoice
from profiler_server.devices import repository as devices
from profiler_server.entries import derivation, details
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
    """Takes visits back: entries, open tasks and snapshots are made again without them.

    Tasks that are done stay so; the same job filed again measures what is missing now.

    Args:
        session: a writing transaction; uploads for the targets wait for it.
        request: which visits, and why.
        token_id: who asks; None: a command beside the database.

    Raises:
        Problem: `no-such-visits`: there are none, or all were taken back before.
    """
    which = repository.chosen(request)
    target_ids = devices.lock_targets(session, repository.targets(session, which))
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
    progress.recount_targets(session, first_stored)
    for target_id, since in sorted(first_stored.items()):
        tables.withdraw(session, target_id, since)
    events.append(session, now, EventKind.VISITS_RETRACTED, retraction_id=row.id, visits=row.visits)
    return details.to_wire(row, repository.name_of(session, token_id))


def latest(session: Session, query: RetractionQuery) -> Page[Retraction]:
    """What was taken back, as far as a query asks for it, by default the newest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.latest(session, query)
    return page.with_items([details.to_wire(row, by) for row, by in page.items])
