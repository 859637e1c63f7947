"""The endpoint that Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from profiler_server.kit.http.routes import operation_id
from profiler_server.kit.metrics import CONTENT_TYPE, MetricsDep

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(metrics: MetricsDep) -> Response:
    """Figures for Prometheus; needs no token, so keep it behind the proxy."""
    return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})
