"""What endpoints that count something ask for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from profiler_server.monitoring.metrics import Metrics


def metrics_of(request: Request) -> Metrics:
    """The application's figures."""
    return cast("Metrics", request.app.state.metrics)


async def _metrics(request: Request) -> Metrics:
    return metrics_of(request)


MetricsDep = Annotated[Metrics, Depends(_metrics)]
