"""The farm's figures for Prometheus: the database's, so every replica says the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from profiler_server.kit.sql.database import Database
from profiler_server.leases.rows import LeaseState
from profiler_server.monitoring import repository
from profiler_server.monitoring.repository import FarmFigures

#: a scrape within so many seconds of another gets the same figures of the farm
_SAME_S = 1.0


class FarmCollector(Collector):
    """Reads the farm's figures from the database when Prometheus scrapes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = -_SAME_S
        self._farm = FarmFigures((), {}, {})

    def describe(self) -> Iterator[Metric]:
        """Names alone: registering must not ask a database that may have no schema yet."""
        yield from _families(FarmFigures((), {}, {}))

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        yield from _families(self._current())

    def _current(self) -> FarmFigures:
        with self._lock:
            if time.monotonic() - self._read_at >= _SAME_S:
                with self._database.read() as session:
                    self._farm = repository.farm(session)
                self._read_at = time.monotonic()
            return self._farm


def _families(farm: FarmFigures) -> Iterator[Metric]:
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
