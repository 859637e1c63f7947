"""What measuring costs, and how well it repeats, on this machine.

Runs the agent's own attempt (spool, renewals, uploads, one forked process a visit) on operators
of a small ProxylessNAS space, several sessions after each other; only the server is replaced by
a recorder in this process. The last line is one JSON object: `overhead_host` is the wall time of
measuring over the time inside warm-up and counted runs, `entry_cv_median` the median over
operators of the entry's coefficient of variation over sessions, `agent_rss_mb` the greatest
resident size of the agent's process in MB (2**20 bytes).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    # Started as a script, the benchmark of netspec beside it would hide the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import httpx2
import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from device_agent.attempt import Attempt, Bench
from device_agent.host import host_device, leave_core
from device_agent.link import Link
from device_agent.model_files import ModelFiles
from device_agent.spool import Spool
from device_agent.stop import StopSignal
from netspec.operators import PRECISIONS
from netspec.profiler_http import ProfilerHttp
from netspec.protocol import MeasurementProtocol
from netspec.spaces import Space
from netspec.statistics import estimate
from netspec.wire import (
    Lease,
    LeasedTask,
    LeaseStatus,
    OperatorSubject,
    RegisteredDevice,
    Visit,
    VisitBatch,
)

TTL_S = 60.0
RENEW_EVERY_S = 20.0


class Recorder:
    """Answers renewals and releases, and keeps the visits that are uploaded."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to one request of the agent."""
        action = request.url.path.rsplit(":", 1)[-1]
        if action == "renew":
            return httpx2.Response(200, content=LeaseStatus(ttl_s=TTL_S).model_dump_json())
        if action == "release":
            return httpx2.Response(204)
        visits = VisitBatch.model_validate_json(request.read()).visits
        self.visits += visits
        receipts = [{"id": str(visit.id), "state": "stored"} for visit in visits]
        return httpx2.Response(200, json={"receipts": receipts})


class Stages:
    """How long each stage of an attempt took, in s."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[None]:
        """Times one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        print(f"{name}: {total} in {self.seconds[name]:.1f} s", file=sys.stderr)

    def advance(self) -> None:
        """One step is done; only stages are timed."""


def session(lease: Lease, folder: Path) -> tuple[list[Visit], float]:
    """One attempt at the lease with a fresh runner: its visits, and the s spent measuring."""
    protocol, recorder, stages = MeasurementProtocol(), Recorder(), Stages()
    device = host_device(protocol)
    registered = RegisteredDevice(
        id="benchmark",
        target_ids=(device.identity.id,),
        lease_ttl_s=TTL_S,
        renew_every_s=RENEW_EVERY_S,
    )
    transport = httpx2.MockTransport(recorder)
    with (
        Spool(folder / "spool.db") as spool,
        ProfilerHttp("http://recorder", "none", transport=transport) as http,
    ):
        link = Link(http)
        models = ModelFiles(folder / "models", link.model)
        bench = Bench(device, protocol, link, spool, models, StopSignal(), stages)
        try:
            Attempt(bench, registered, lease).run()
        finally:
            device.runner.close()
    return recorder.visits, stages.seconds["measuring"]


def lease_of(operators: int, rounds: int) -> Lease:
    """So many operators of a small space, alternately float32 and int8, spread over its blocks."""
    spaces = [Space(input_size=96, width=0.5, classes=10, precision=p) for p in PRECISIONS]
    everything = [
        one for pair in zip(*(s.operators() for s in spaces), strict=True) for one in pair
    ]
    chosen = [everything[len(everything) * index // operators] for index in range(operators)]
    tasks = tuple(
        LeasedTask(task_id=one.key, subject=OperatorSubject(operator=one), visits=rounds)
        for one in dict.fromkeys(chosen)
    )
    target_id = host_device(MeasurementProtocol()).identity.id
    return Lease(id="benchmark", fence=1, target_id=target_id, ttl_s=TTL_S, tasks=tasks)


def seconds_in_runs(visit: Visit) -> float:
    """Time of a visit inside warm-up and counted runs, in s."""
    seen = json.loads(visit.raw)
    counted_us = visit.statistics.count * visit.statistics.mean_us
    return float((seen["first_run_ns"] + seen["warmup_ns"]) / 1e9 + counted_us / 1e6)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operators", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=5)
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    lease = lease_of(chosen.operators, chosen.rounds)
    leave_core(host_device(MeasurementProtocol()).core)

    entries_ms: dict[str, list[float]] = defaultdict(list)
    wall_s = inside_s = 0.0
    for _ in range(chosen.sessions):
        with tempfile.TemporaryDirectory() as folder:
            visits, measuring_s = session(lease, Path(folder))
        wall_s += measuring_s
        inside_s += sum(seconds_in_runs(visit) for visit in visits)
        for task in lease.tasks:
            own = [visit.statistics for visit in visits if visit.task_id == task.task_id]
            entries_ms[task.task_id].append(estimate(own).value_ms)

    variations = {key: float(np.std(ms, ddof=1) / np.mean(ms)) for key, ms in entries_ms.items()}
    table = Table("operator", "entry ms", "CV %", title=f"{chosen.sessions} sessions")
    for key, variation in sorted(variations.items(), key=lambda pair: pair[1]):
        table.add_row(key, f"{np.mean(entries_ms[key]):.4f}", f"{100 * variation:.2f}")
    Console(width=120).print(table)
    visits_made = chosen.sessions * chosen.rounds * len(lease.tasks)
    resident_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    numbers = {
        "overhead_host": wall_s / inside_s,
        "visit_ms": 1000 * wall_s / visits_made,
        "entry_cv_median": float(np.median(list(variations.values()))),
        "entry_cv_worst": max(variations.values()),
        # The kernel counts in KiB, on macOS in bytes.
        "agent_rss_mb": resident_kib / (2**20 if sys.platform == "darwin" else 2**10),
        "operators": len(lease.tasks),
        "rounds": chosen.rounds,
        "sessions": chosen.sessions,
        "load_1m": os.getloadavg()[0],
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
