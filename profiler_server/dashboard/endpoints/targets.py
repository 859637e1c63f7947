"""Targets, and the table of one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from netspec.operators import Precision
from netspec.wire import DisagreementQuery, PublishRequest, TargetQuery
from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Cursor, JobsWriter, TablesReader
from profiler_server.dashboard.views import fields as fields_view
from profiler_server.dashboard.views import left_out as left_out_view
from profiler_server.dashboard.views import networks as networks_view
from profiler_server.dashboard.views import table as table_view
from profiler_server.dashboard.views import table_filter
from profiler_server.dashboard.views.table_filter import TableFilter
from profiler_server.devices import service as devices
from profiler_server.entries import details
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.latency_tables import service as tables
from profiler_server.latency_tables.dependencies import (
    CalibrationOriginsDep,
    FormatInQuery,
    SnapshotAnswersDep,
)
from profiler_server.latency_tables.representations import wanted

router = APIRouter(prefix="/targets")
_TARGETS_A_PAGE = 100
_DISAGREEMENTS_A_PAGE = 50

#: as a form sends them; empty: any
Words = Annotated[str, Query(max_length=200)]
TargetId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@router.get("")
def list_targets(
    request: Request,
    database: DatabaseDep,
    _: TablesReader,
    text: Words = "",
    cursor: Cursor = None,
) -> Response:
    """Targets, oldest first."""
    words = text.strip()
    query = TargetQuery(limit=_TARGETS_A_PAGE, cursor=cursor, text=words or None)
    with database.read() as session:
        targets = devices.list_targets(session, query)
    return rendering.page(request, "targets.html.j2", targets=targets, text=words)


@router.get("/{target_id}/snapshot")
def download_snapshot(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    answers: SnapshotAnswersDep,
    _: TablesReader,
    _format: FormatInQuery = None,
) -> Response:
    """The latest snapshot as a file."""
    with database.read() as session:
        snapshot_id = tables.latest_id(session, target_id)
        answer = answers.of(
            request, snapshot_id, lambda: tables.load(session, snapshot_id), latest=True
        )
    name = f"table-{target_id}-{snapshot_id[:12]}.{wanted(request).format}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


@router.get("/{target_id}")
def show_table(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    _: TablesReader,
    form: Annotated[TableFilter, Query()],
) -> Response:
    """A target's table, a row a shape and a column a kernel and expansion."""
    with database.read() as session:
        view = table_view.read(session, target_id, form)
    return rendering.page(
        request,
        "table.html.j2",
        view=view,
        target_id=target_id,
        identity=view.identity,
        form=form,
        marks=table_view.marks,
        api=str(request.base_url).removesuffix("/").removesuffix(rendering.PATH),
        choices=table_filter,
    )


@router.get("/{target_id}/fields")
def show_fields(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    _: TablesReader,
    precision: Precision = "float32",
    kind: Annotated[str, Query(max_length=40)] = "",
    first: Annotated[str, Query(max_length=40)] = "",
    column: Annotated[str, Query(max_length=40)] = "",
    cursor: Cursor = None,
) -> Response:
    """Operators of any kind, a column a value of one of their fields."""
    with database.read() as session:
        view = fields_view.read(
            session, target_id, precision, kind or None, first or None, column or None, cursor
        )
    return rendering.page(
        request,
        "fields.html.j2",
        view=view,
        target_id=target_id,
        identity=view.identity,
        cursor=cursor,
        measured=[cell.value_ms for _, cells in view.rows for cell in cells if cell],
    )


@router.get("/{target_id}/networks")
def show_networks(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    origins: CalibrationOriginsDep,
    _: TablesReader,
    cursor: Cursor = None,
) -> Response:
    """Whole networks: predicted and measured, and how far the calibration is off."""
    with database.read() as session:
        view = networks_view.read(session, target_id, cursor, origins)
    return rendering.page(
        request,
        "networks.html.j2",
        view=view,
        target_id=target_id,
        identity=view.identity,
        most=networks_view.MOST_NETWORKS,
        figure=networks_view.figure(view.calibrations) if view.calibrations else None,
    )


@router.post("/{target_id}/publish")
def publish_table(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    answers: SnapshotAnswersDep,
    _: JobsWriter,
) -> Response:
    """Freezes the target's table, calibrated on all networks that were measured."""
    with database.write() as session:
        snapshot_id, _document, _is_new = tables.publish(session, target_id, PublishRequest())
    answers.latest.put(target_id, snapshot_id)
    address = f"{rendering.base_of(request)}/targets/{target_id}/networks"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


@router.get("/{target_id}/left-out")
def show_left_out(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    _: TablesReader,
    held: Cursor = None,
    taken: Cursor = None,
) -> Response:
    """What the target's tables leave out: why, and by whom."""
    with database.read() as session:
        view = left_out_view.read(session, target_id, held, taken)
    return rendering.page(
        request,
        "left_out.html.j2",
        view=view,
        target_id=target_id,
        identity=view.identity,
        most=left_out_view.MOST_SUBJECTS,
    )


@router.get("/{target_id}/disagreement")
def show_disagreement(
    request: Request,
    target_id: TargetId,
    database: DatabaseDep,
    _: TablesReader,
    at_least_percent: Annotated[float, Query(ge=0, le=1e6)] = table_view.DISAGREEMENT_PERCENT,
    cursor: Cursor = None,
) -> Response:
    """The entries whose devices differ, with what each says."""
    query = DisagreementQuery(
        at_least_percent=at_least_percent, limit=_DISAGREEMENTS_A_PAGE, cursor=cursor
    )
    with database.read() as session:
        target = devices.get_target(session, target_id)
        page = details.disagreement(session, target_id, query)
    return rendering.page(
        request,
        "disagreement.html.j2",
        entries=page,
        target_id=target_id,
        identity=target.identity,
        at_least_percent=at_least_percent,
    )
