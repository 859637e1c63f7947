"""Endpoints of tables."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from netspec.wire import (
    Entry,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
)
from profiler_server.auth.dependencies import TABLES_READER, JobsWriter, TablesReader
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.kit.http.routes import AtOnce, Route, answers_at_once, operation_id
from profiler_server.kit.metrics import metrics_of
from profiler_server.latency_tables import service
from profiler_server.latency_tables.dependencies import (
    OperatorModelsDep,
    SnapshotAnswersDep,
    known_latencies_of,
    snapshot_answers_of,
)
from profiler_server.latency_tables.lookups import lookup
from profiler_server.latency_tables.lookups.known_latencies import Question, to_json
from profiler_server.latency_tables.lookups.operator_query import OperatorInQuery
from profiler_server.latency_tables.representations import MEDIA_TYPES, Format


async def _unchanged(request: Request) -> Response | None:
    """304, if the target's latest snapshot was asked for a moment ago."""
    answers = snapshot_answers_of(request)
    snapshot_id = answers.latest.get(request.path_params["target_id"])
    if snapshot_id is None or not TABLES_READER.trusts(request):
        return None
    return answers.unchanged(request, snapshot_id, latest=True)


async def _known(request: Request) -> Response | None:
    """The answer to a look-up some of whose operators were found a moment ago."""
    is_json = request.headers.get("Content-Type") == "application/json"
    if not is_json or not TABLES_READER.trusts(request):
        return None
    question = Question.of(await request.body())
    if question is None:
        return None
    items = known_latencies_of(request).items(question)
    unknown = [position for position, item in enumerate(items) if not item]
    if not items or (unknown and request.scope["query_string"]):
        request.scope[_QUESTION] = question
        return None
    if unknown:
        rest = await run_in_threadpool(_look_up_rest, request, question.part(unknown))
        if rest is None:
            return None
        for position, item in zip(unknown, rest, strict=True):
            items[position] = item
    metrics_of(request).looked_up("hit", len(items) - len(unknown))
    return Response(to_json(question.target_id, items), media_type="application/json")


def _look_up_rest(request: Request, rest: Question) -> list[bytes] | None:
    """The answer's items; None where the rest is no question, which the endpoint explains."""
    try:
        question = LatencyLookup.model_validate_json(rest.to_json())
    except ValidationError:
        return None
    if len(question.operators) != len(rest.operators):
        return None
    state = request.app.state
    with state.database.read() as session:
        found = lookup.latencies(
            session, state.settings, question.target_id, question.operators, None
        )
    return _learnt(request, found, rest)


def _learnt(request: Request, found: LookedUpLatencies, asked: Question | None) -> list[bytes]:
    """The answer's items, counted, and kept where they are fresh entries."""
    items = [one.model_dump_json().encode() for one in found.latencies]
    if asked is not None:
        states = (one.state for one in found.latencies)
        fresh = [
            item if state == "hit" else None for item, state in zip(items, states, strict=True)
        ]
        known_latencies_of(request).learn(asked, fresh)
    for state, operators in Counter(one.state for one in found.latencies).items():
        metrics_of(request).looked_up(state, operators)
    return items


_QUESTION = "profiler.question"

router = APIRouter(prefix="/v1", tags=["tables"], route_class=Route)


def _frequent(at_once: AtOnce) -> APIRouter:
    return APIRouter(
        prefix="/v1",
        tags=["tables"],
        route_class=answers_at_once(at_once),
        generate_unique_id_function=operation_id,
    )


_latest = _frequent(_unchanged)
_lookups = _frequent(_known)

FormatInQuery = Annotated[
    Format | None,
    Query(alias="format", description="Wins over `Accept`; JSON if neither says anything"),
]
PredictedAllowed = Annotated[
    bool,
    Query(description="Predict operators without entry from the others'; they are told apart"),
]
_IN_EVERY_FORMAT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for name, media_type in MEDIA_TYPES.items()
            if name is not Format.JSON
        }
    },
    304: {"description": "The client has this snapshot"},
}


@_latest.get(
    "/targets/{target_id}/snapshots/latest", response_model=Snapshot, responses=_IN_EVERY_FORMAT
)
def latest_snapshot(
    target_id: str,
    request: Request,
    database: DatabaseDep,
    answers: SnapshotAnswersDep,
    _: TablesReader,
    _format: FormatInQuery = None,
) -> Response:
    """The target's latest snapshot; ask with `If-None-Match` to save the transfer."""
    with database.read() as session:
        snapshot_id = service.latest_id(session, target_id)
        answers.latest.put(target_id, snapshot_id)
        return answers.unchanged(request, snapshot_id, latest=True) or answers.of(
            request, snapshot_id, lambda: service.load(session, snapshot_id), latest=True
        )


@_lookups.post("/latencies:lookup", response_model=LookedUpLatencies)
def look_up_latencies(
    question: LatencyLookup,
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    models: OperatorModelsDep,
    _: TablesReader,
    allow_predicted: PredictedAllowed = False,
) -> Response:
    """Many operators' entries on one target: each is a hit, stale, predicted or missing."""
    with database.read() as session:
        found = lookup.latencies(
            session,
            settings,
            question.target_id,
            question.operators,
            models if allow_predicted else None,
        )
    items = _learnt(request, found, request.scope.get(_QUESTION))
    return Response(to_json(found.target_id, items), media_type="application/json")


#: What is asked for most often stands among the application's own routes: each level of included
#: routers is searched twice for every request.
FREQUENT_ROUTES = (*_latest.routes, *_lookups.routes)


@router.post(
    "/targets/{target_id}/snapshots",
    response_model=Snapshot,
    status_code=201,
    responses={200: {"model": Snapshot, "description": "The content was published before"}},
)
def publish_snapshot(
    target_id: str,
    publication: PublishRequest,
    request: Request,
    database: DatabaseDep,
    answers: SnapshotAnswersDep,
    _: JobsWriter,
) -> Response:
    """Freezes the target's table."""
    with database.write() as session:
        snapshot_id, document, is_new = service.publish(session, target_id, publication)
    answers.latest.put(target_id, snapshot_id)
    status = 201 if is_new else 200
    return answers.of(request, snapshot_id, lambda: document, latest=False, status=status)


@router.get("/snapshots/{snapshot_id}", response_model=Snapshot, responses=_IN_EVERY_FORMAT)
def get_snapshot(
    snapshot_id: str,
    request: Request,
    database: DatabaseDep,
    answers: SnapshotAnswersDep,
    _: TablesReader,
    _format: FormatInQuery = None,
) -> Response:
    """A snapshot; it never changes."""
    with database.read() as session:
        service.require_snapshot(session, snapshot_id)
        return answers.unchanged(request, snapshot_id, latest=False) or answers.of(
            request, snapshot_id, lambda: service.load(session, snapshot_id), latest=False
        )


@router.get("/targets/{target_id}/latency")
def get_latency(
    target_id: str, query: OperatorInQuery, database: DatabaseDep, _: TablesReader
) -> Entry:
    """One operator's entry, by its key or by an MBConv's fields."""
    operator = query.operator()
    with database.read() as session:
        return service.latency(session, target_id, operator)


@router.post("/targets/{target_id}:predict")
def predict_network(
    target_id: str,
    question: PredictRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    models: OperatorModelsDep,
    _: TablesReader,
    allow_predicted: PredictedAllowed = False,
) -> Prediction:
    """A whole network's latency: the calibrated sum of its operators' entries."""
    with database.read() as session:
        return lookup.predict(
            session, settings, target_id, question.network, models if allow_predicted else None
        )
