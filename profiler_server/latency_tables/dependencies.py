"""What the endpoints of tables ask for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from profiler_server.latency_tables.lookups.fresh_latencies import FreshLatencies
from profiler_server.latency_tables.lookups.unmeasured import OperatorModels
from profiler_server.latency_tables.snapshot_answers import SnapshotAnswers


def snapshot_answers_of(request: Request) -> SnapshotAnswers:
    """What this process keeps of snapshots."""
    return cast("SnapshotAnswers", request.app.state.snapshot_answers)


async def _operator_models(request: Request) -> OperatorModels:
    return cast("OperatorModels", request.app.state.operator_models)


async def _snapshot_answers(request: Request) -> SnapshotAnswers:
    return snapshot_answers_of(request)


async def _fresh_latencies(request: Request) -> FreshLatencies:
    return cast("FreshLatencies", request.app.state.fresh_latencies)


SnapshotAnswersDep = Annotated[SnapshotAnswers, Depends(_snapshot_answers)]
OperatorModelsDep = Annotated[OperatorModels, Depends(_operator_models)]
FreshLatenciesDep = Annotated[FreshLatencies, Depends(_fresh_latencies)]
