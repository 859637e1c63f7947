"""What Prometheus reads.

The farm's figures are the database's, so every replica says the same; requests and
look-ups are counted by each process for itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from profiler_server.kit.database import Database
from profiler_server.leases.rows import LeaseState
from profiler_server.monitoring import repository
from profiler_server.monitoring.repository import Farm

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"

#: a scrape within so many seconds of another gets the same figures of the farm
_SAME_S = 1.0
#: seconds; requests for work wait up to 30
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one application."""

    def __init__(self, database: Database) -> None:
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
        self.registry.register(_FarmFigures(database))

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


class _FarmFigures(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = -_SAME_S
        self._farm = Farm((), {}, {})

    def describe(self) -> Iterator[Metric]:
        """Names alone: registering must not ask a database that may have no schema yet."""
        yield from _families(Farm((), {}, {}))

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        yield from _families(self._current())

    def _current(self) -> Farm:
        with self._lock:
            if time.monotonic() - self._read_at >= _SAME_S:
                with self._database.read() as session:
                    self._farm = repository.farm(session)
                self._read_at = time.monotonic()
            return self._farm


def _families(farm: Farm) -> Iterator[Metric]:
    tasks = GaugeMetricFamily(
        "profiler_queue_tasks", "Tasks that wait for a lease, by target", labels=["target"]
    )
    oldest = GaugeMetricFamily(
        "profiler_queue_oldest_seconds",
        "Age of the oldest job with a task that waits, by target",
        labels=["target"],
    )
    for queue in farm.queues:
        tasks.add_metric([queue.target_id], queue.tasks)
        oldest.add_metric([queue.target_id], queue.oldest_s)
    drifted = GaugeMetricFamily(
        "profiler_target_drifted",
        "1 where the last recheck found a table that is no longer true, by target",
        labels=["target"],
    )
    for target_id, is_drifted in farm.drifted.items():
        drifted.add_metric([target_id], is_drifted)
    attempts = CounterMetricFamily(
        "profiler_attempts", "Leases that ended, by outcome", labels=["outcome"]
    )
    for state in LeaseState:
        if state is not LeaseState.LIVE:
            attempts.add_metric([state], farm.leases.get(state, 0))
    yield tasks
    yield oldest
    yield drifted
    yield attempts
    yield CounterMetricFamily(
        "profiler_lease_expiries",
        "Leases that were not renewed in time",
        value=farm.leases.get(LeaseState.EXPIRED, 0),
    )
    yield GaugeMetricFamily(
        "profiler_leases_live",
        "Leases whose agents are at it",
        value=farm.leases.get(LeaseState.LIVE, 0),
    )
