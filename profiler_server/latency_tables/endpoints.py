"""Endpoints of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from netspec.network_files import network_of_config
from netspec.networks import Network
from netspec.operators import operator_from_key
from netspec.wire import (
    Assembly,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
    TargetEntry,
    TargetLatencies,
)
from netspec.wire.tables import OperatorKey
from profiler_server.auth.dependencies import JobsWriter, TablesReader
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.kit.http.routes import Handler, Route
from profiler_server.kit.metrics import MetricsDep
from profiler_server.latency_tables import service
from profiler_server.latency_tables.dependencies import (
    CalibrationOriginsDep,
    FormatInQuery,
    FreshLatenciesDep,
    OperatorModelsDep,
    SnapshotAnswersDep,
)
from profiler_server.latency_tables.lookups import lookup
from profiler_server.latency_tables.lookups.operator_query import OperatorInQuery
from profiler_server.latency_tables.representations import MEDIA_TYPES, Format
from profiler_server.latency_tables.snapshot_answers import SnapshotAnswers

#: that fit a request's head
MAX_KEYS = 500


class _LatestRoute(Route):
    """Answers 304 before dependencies are solved: no request comes more often."""

    def around(self, by_endpoint: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            return _unchanged(request) or await by_endpoint(request)

        return answer


def _unchanged(request: Request) -> Response | None:
    """304, if the target's latest snapshot was asked for a moment ago; never waits."""
    answers: SnapshotAnswers = request.app.state.snapshot_answers
    snapshot_id = answers.latest.get(request.path_params["target_id"])
    if snapshot_id is None:
        return None
    return answers.unchanged(request, snapshot_id, latest=True)


router = APIRouter(prefix="/v1", tags=["tables"], route_class=Route)


_latest = APIRouter(prefix="/v1", tags=["tables"], route_class=_LatestRoute)
_lookups = APIRouter(prefix="/v1", tags=["tables"], route_class=Route)

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


@_lookups.post("/latencies:lookup", response_model=LookedUpLatencies, max_body_size=2 * 2**20)
async def look_up_latencies(
    question: LatencyLookup,
    database: DatabaseDep,
    settings: SettingsDep,
    models: OperatorModelsDep,
    fresh: FreshLatenciesDep,
    metrics: MetricsDep,
    _: TablesReader,
    allow_predicted: PredictedAllowed = False,
) -> Response:
    """Many operators' entries on one target: each is a hit, stale, predicted or missing."""
    target_id = question.target_id
    known = fresh.known(target_id, question.operators)

    def read() -> Iterator[bytes]:
        """What the database says of the others, in the question's order."""
        fields = zip(question.operators, known, strict=True)
        operators = [operator for operator, document in fields if document is None]
        operators += map(operator_from_key, question.keys)
        with database.read() as session:
            found = lookup.latencies(
                session, settings, target_id, operators, models if allow_predicted else None
            ).latencies
        for state, count in Counter(latency.state for latency in found).items():
            metrics.looked_up(state, count)
        return iter(fresh.learn(target_id, operators, found))

    metrics.looked_up("hit", len(known) - known.count(None))
    # What is known needs no other thread, where a hand-over takes as long as the answer.
    rest = await run_in_threadpool(read) if question.keys or None in known else iter(())
    documents = [*(next(rest) if document is None else document for document in known), *rest]
    answer = b'{"target_id":"%b","latencies":[%b]}' % (target_id.encode(), b",".join(documents))
    return Response(answer, media_type="application/json")


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


@router.get("/targets/{target_id}/latencies")
def get_latencies(
    target_id: str,
    key: Annotated[
        list[OperatorKey],
        Query(min_length=1, max_length=MAX_KEYS, description="A canonical key; may be repeated"),
    ],
    database: DatabaseDep,
    settings: SettingsDep,
    models: OperatorModelsDep,
    _: TablesReader,
    allow_predicted: PredictedAllowed = False,
) -> TargetLatencies:
    """Many operators' entries by their keys, with what they are true for, as a link can ask."""
    operators = [operator_from_key(one) for one in key]
    with database.read() as session:
        return lookup.of_target(
            session, settings, target_id, operators, models if allow_predicted else None
        )


@router.get("/targets/{target_id}/latency")
def get_latency(
    target_id: str, query: OperatorInQuery, database: DatabaseDep, _: TablesReader
) -> TargetEntry:
    """One operator's entry, by its key or its fields, with what it is true for."""
    operator = query.operator()
    with database.read() as session:
        return service.latency(session, target_id, operator)


@router.post("/targets/{target_id}:predict", max_body_size=2**20)
def predict_network(
    target_id: str,
    question: PredictRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    models: OperatorModelsDep,
    origins: CalibrationOriginsDep,
    _: TablesReader,
    allow_predicted: PredictedAllowed = False,
) -> Prediction:
    """A whole network's latency: the sum of its operators' entries, calibrated where it can be.

    The network is a chain, operators in any order, or a `net.config` that ProxylessNAS or
    Once-for-all has published. The answer says where the calibration is older than the entries,
    and in what the network is unlike those that it was fitted on.
    """
    network = _network_of(question)
    with database.read() as session:
        return lookup.predict(
            session, settings, target_id, network, origins, models if allow_predicted else None
        )


def _network_of(question: PredictRequest) -> Network | Assembly:
    if (given := question.network or question.assembly) is not None:
        return given
    return network_of_config(
        question.config or {},
        input_size=question.input_size,
        precision=question.precision or "float32",
    )
