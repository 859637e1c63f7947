"""One entry of a table, down to its visits."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Cursor, TablesReader
from profiler_server.dashboard.endpoints.targets import TargetId
from profiler_server.dashboard.views import entry as entry_view
from profiler_server.dashboard.views import visit as visit_view
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.visits.endpoints import SubjectHash

router = APIRouter(prefix="/targets/{target_id}/entries/{subject_hash}")
#: a content hash, or as much of it as pages of tables link to
Beginning = Annotated[str, Path(pattern=rf"^[0-9a-f]{{{entry_view.SHORT_HASH},64}}$")]
#: characters of a visit's raw output on its page; all of it is in the API
_MOST_RAW = 30_000


@router.get("")
def show_entry(
    request: Request,
    target_id: TargetId,
    subject_hash: Beginning,
    database: DatabaseDep,
    _: TablesReader,
    cursor: Cursor = None,
) -> Response:
    """An entry: its spread and history, what each device says, its visits."""
    with database.read() as session:
        whole = entry_view.subject(session, target_id, subject_hash)
        view = entry_view.read(session, target_id, whole, cursor)
    return rendering.page(
        request,
        "entry.html.j2",
        view=view,
        target_id=target_id,
        identity=view.identity,
        entry=view.detail.entry,
        observed=entry_view.observed,
        figure=entry_view.figure(view) if view.history.visits else None,
    )


@router.get("/visits/{visit_id}")
def show_visit(
    request: Request,
    target_id: TargetId,
    subject_hash: SubjectHash,
    visit_id: UUID,
    database: DatabaseDep,
    _: TablesReader,
) -> Response:
    """One visit: its runs, what held around it, and what the runner printed."""
    with database.read() as session:
        shown = visit_view.read(session, target_id, subject_hash, visit_id)
    raw = shown.stored.visit.raw
    return rendering.page(
        request,
        "visit.html.j2",
        shown=shown,
        target_id=target_id,
        raw=raw[:_MOST_RAW],
        is_cut=len(raw) > _MOST_RAW,
    )
