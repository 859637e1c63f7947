"""What a process counts for itself, requests and look-ups, and how endpoints reach it."""

from __future__ import annotations

from typing import Annotated

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from profiler_server.kit.dependencies import of_application

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"

#: seconds; requests for work wait up to 30
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "profiler_request_duration_seconds",
            "Time to answer, by route; requests for work include their wait",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._looked_up = Counter(
            "profiler_lookups",
            "Operators asked for in look-ups, by what the table said",
            ["state"],
            registry=self.registry,
        )
        self._known_requests: dict[tuple[str, str | None, int], Histogram] = {}

    def request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Counts an answered request."""
        key = (method, route, status)
        child = self._known_requests.get(key)
        if child is None:
            child = self._requests.labels(
                method if method in _METHODS else "other", route or "none", str(status)
            )
            # Methods are the client's: an unknown one must not stay here.
            if method in _METHODS:
                self._known_requests[key] = child
        child.observe(seconds)

    def looked_up(self, state: str, operators: int = 1) -> None:
        """Counts operators of a look-up."""
        self._looked_up.labels(state).inc(operators)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)


MetricsDep = Annotated[Metrics, of_application("metrics")]
