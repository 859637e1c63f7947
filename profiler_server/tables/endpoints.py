"""Endpoints of tables."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from netspec.wire import (
    Entry,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
)
from profiler_server.auth.dependencies import JobsWriter, TablesReader
from profiler_server.kit.caching import IMMUTABLE, REVALIDATE, etag, is_current
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.tables import lookup, service
from profiler_server.tables.operator_query import OperatorInQuery

router = APIRouter(prefix="/v1", tags=["tables"])

_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has this snapshot"}}


@router.post(
    "/targets/{target_id}/snapshots",
    response_model=Snapshot,
    status_code=201,
    responses={200: {"model": Snapshot, "description": "The content was published before"}},
)
def publish_snapshot(
    target_id: str, request: PublishRequest, database: DatabaseDep, _: JobsWriter
) -> Response:
    """Freezes the target's table."""
    with database.write() as session:
        snapshot_id, document, is_new = service.publish(session, target_id, request)
    return _document(snapshot_id, document, IMMUTABLE, 201 if is_new else 200)


@router.get("/targets/{target_id}/snapshots/latest", response_model=Snapshot, responses=_UNCHANGED)
def latest_snapshot(
    target_id: str, request: Request, database: DatabaseDep, _: TablesReader
) -> Response:
    """The target's latest snapshot; ask with `If-None-Match` to save the transfer."""
    with database.read() as session:
        snapshot_id = service.latest_id(session, target_id)
        if is_current(request, snapshot_id):
            return _unchanged(snapshot_id, REVALIDATE)
        document = service.load(session, snapshot_id)
    return _document(snapshot_id, document, REVALIDATE)


@router.get("/snapshots/{snapshot_id}", response_model=Snapshot, responses=_UNCHANGED)
def get_snapshot(
    snapshot_id: str, request: Request, database: DatabaseDep, _: TablesReader
) -> Response:
    """A snapshot; it never changes."""
    with database.read() as session:
        if is_current(request, snapshot_id):
            service.require_snapshot(session, snapshot_id)
            return _unchanged(snapshot_id, IMMUTABLE)
        document = service.load(session, snapshot_id)
    return _document(snapshot_id, document, IMMUTABLE)


@router.get("/targets/{target_id}/latency")
def get_latency(
    target_id: str, query: OperatorInQuery, database: DatabaseDep, _: TablesReader
) -> Entry:
    """One operator's entry, by its key or by an MBConv's fields."""
    operator = query.operator()
    with database.read() as session:
        return service.latency(session, target_id, operator)


@router.post("/latencies:lookup")
def look_up_latencies(
    question: LatencyLookup, database: DatabaseDep, settings: SettingsDep, _: TablesReader
) -> LookedUpLatencies:
    """Many operators' entries on one target: each is a hit, stale or missing."""
    with database.read() as session:
        return lookup.latencies(session, settings, question.target_id, question.operators)


@router.post("/targets/{target_id}:predict")
def predict_network(
    target_id: str,
    question: PredictRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    _: TablesReader,
) -> Prediction:
    """A whole network's latency: the calibrated sum of its operators' entries."""
    with database.read() as session:
        return lookup.predict(session, settings, target_id, question.network)


def _document(snapshot_id: str, document: str, cache: str, status: int = 200) -> Response:
    headers = {"ETag": etag(snapshot_id), "Cache-Control": cache}
    return Response(document, status, headers=headers, media_type="application/json")


def _unchanged(snapshot_id: str, cache: str) -> Response:
    headers = {"ETag": etag(snapshot_id), "Cache-Control": cache}
    return Response(status_code=304, headers=headers)
