"""What the endpoints of tables ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from profiler_server.kit.dependencies import of_application
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from profiler_server.latency_tables.lookups.fresh_latencies import FreshLatencies
from profiler_server.latency_tables.lookups.unmeasured import OperatorModels
from profiler_server.latency_tables.representations import Format
from profiler_server.latency_tables.snapshot_answers import SnapshotAnswers

#: Wins over the `Accept` header.
FormatInQuery = Annotated[
    Format | None,
    Query(alias="format", description="Wins over `Accept`; JSON if neither says anything"),
]
SnapshotAnswersDep = Annotated[SnapshotAnswers, of_application("snapshot_answers")]
OperatorModelsDep = Annotated[OperatorModels, of_application("operator_models")]
CalibrationOriginsDep = Annotated[CalibrationOrigins, of_application("calibration_origins")]
FreshLatenciesDep = Annotated[FreshLatencies, of_application("fresh_latencies")]
