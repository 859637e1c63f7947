"""What the profiler server costs on this machine, as a client sees it.

Real processes, a line logged for every request, tokens checked, PostgreSQL with fsync. The bare
endpoint is FastAPI returning a small dict, served by the same code with the same settings in the
same run; servers have a core for themselves, loads take turns, and medians over rounds count. The
last line is one JSON object; where a figure is taken on both databases, it has the worse one:
`conditional_get_ratio`: `If-None-Match` of the latest snapshot (304) a second over bare requests
a second; `lookup142_ratio`: the same of look-ups of 142 operators. `ingest_*_per_s`: visits
stored a second, uploaded by 4 agents at a time in the agent's own batches. `claims_lost`,
`claims_doubled`: tasks that no agent got, or two; `claim_p99_ms`: from the moment when an agent
was asking and a task was filed to the lease's arrival; 500 agents wait at 2 replicas. Without the
first 3 s, when all of them ask at once; `claim_rush_p99_ms` is of these alone.
`snapshot_100k_per_mb_ratio`: what a MB of a table of 100,000 entries costs over one of 1,000, the
greatest of publishing, fetching and fetching gzipped. `memory_growth_mb`: growth of the server's
resident memory over look-ups of 10**6 operators, 142 a request, after a warm-up; with `--million`,
which takes a quarter of an hour, over 10**6 requests of one operator each. `flood_healthz_p99_ms`,
`flood_memory_mb`: answers to `/healthz`, and growth of resident memory, while 16 clients send
bodies of 1 and 30 MB that are all brackets, without a token; `worst_bodies_...`: the same
with one, of bodies as deep, wide and wrong as are read to their end. `agents2000_claim_p99_ms`: as
`claim_p99_ms` of 2,000 agents, the first rush counted. `visits1e6_table_page_ms`: the slowest of
all pages and queries, each by its median, on a table of 10,000 operators that is made of 10**6
visits of two devices over a year.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.server_load import reading
from benchmarks.server_load.claims import poll
from benchmarks.server_load.flood import flood
from benchmarks.server_load.ingest import ingest
from benchmarks.server_load.large import large_pages
from benchmarks.server_load.machine import DATABASES

Numbers = dict[str, float]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float
    visit_rounds: int
    ingests: int
    agents: int
    claim_seconds: float
    measures_s: tuple[float, float]
    entries: int
    repeats: int
    #: requests, and operators in each
    looked_up: tuple[int, int]
    flood_seconds: float
    #: agents that all ask at once, and for how long
    rushing: tuple[int, float]
    #: operators, visits, and requests for each page
    large: tuple[int, int, int]


FULL = Size(
    rounds=7,
    seconds=1.5,
    visit_rounds=10,
    ingests=3,
    agents=500,
    claim_seconds=60.0,
    measures_s=(2.0, 20.0),
    entries=100_000,
    repeats=3,
    looked_up=(7_043, reading.LOOKED_UP),
    flood_seconds=20.0,
    rushing=(2_000, 60.0),
    large=(10_000, 1_000_000, 15),
)
QUICK = Size(
    rounds=2,
    seconds=0.5,
    visit_rounds=2,
    ingests=1,
    agents=60,
    claim_seconds=7.0,
    measures_s=(0.2, 2.0),
    entries=3_000,
    repeats=3,
    looked_up=(141, reading.LOOKED_UP),
    flood_seconds=3.0,
    rushing=(100, 7.0),
    large=(300, 6_000, 3),
)
MILLION = (1_000_000, 1)
_TASKS = 500
_JOBS_PER_S = 10.0
_FEW_ENTRIES = 1_000
_FLOODING = 16


class Report:
    """The table that people read."""

    def __init__(self) -> None:
        self._table = Table("what", "figure", "p50 ms", "p99 ms", title="profiler server")

    def row(self, what: str, figure: str, p50_ms: float | None, p99_ms: float | None) -> None:
        """Adds a line."""
        shown = ("" if ms is None else f"{ms:.2f}" for ms in (p50_ms, p99_ms))
        self._table.add_row(what, figure, *shown)

    def show(self) -> None:
        """Prints."""
        Console(width=110).print(self._table)


def read(size: Size, report: Report) -> Numbers:
    """Conditional requests and look-ups."""
    ratios: dict[str, list[float]] = {"conditional": [], "lookup": []}
    for kind in DATABASES:
        done = reading.against_bare(kind, rounds=size.rounds, seconds=size.seconds)
        for name in done.rounds:
            ratio = done.per_s(name) / done.per_s("bare")
            if name in ratios:
                ratios[name].append(ratio)
            report.row(
                f"{name}, {kind}",
                f"{done.per_s(name):.0f}/s, {ratio:.3f} of bare",
                done.quantile_ms(name, 0.5),
                done.quantile_ms(name, 0.99),
            )
    return {
        "conditional_get_ratio": min(ratios["conditional"]),
        "lookup142_ratio": min(ratios["lookup"]),
    }


def store(size: Size, report: Report) -> Numbers:
    """Ingestion of visits."""
    numbers = {}
    for kind in DATABASES:
        runs = [ingest(kind, tasks=_TASKS, rounds=size.visit_rounds) for _ in range(size.ingests)]
        per_s = statistics.median(visits / measured.seconds for visits, measured in runs)
        report.row(
            f"ingest, {kind}",
            f"{per_s:.0f} visits/s",
            statistics.median(measured.quantile_ms(0.5) for _, measured in runs),
            statistics.median(measured.quantile_ms(0.99) for _, measured in runs),
        )
        numbers[f"ingest_{kind}_per_s"] = per_s
    return numbers


def claim(size: Size, report: Report) -> Numbers:
    """Agents that wait for work."""
    book = poll(
        agents=size.agents,
        jobs_per_s=_JOBS_PER_S,
        seconds=size.claim_seconds,
        measures_s=size.measures_s,
    )
    numbers: Numbers = {"claims_lost": book.lost, "claims_doubled": book.doubled}
    for name, when, taken_s in (
        ("claim_p99_ms", "", book.claims_s),
        ("claim_rush_p99_ms", ", their rush at the start", book.rush_s),
    ):
        p50_ms, p99_ms = (float(np.quantile(taken_s, q) * 1000) for q in (0.5, 0.99))
        what = f"claims, {size.agents} agents{when}"
        report.row(what, f"{len(taken_s)} leases of {book.jobs} jobs", p50_ms, p99_ms)
        numbers[name] = p99_ms
    return numbers


def snapshot(size: Size, report: Report) -> Numbers:
    """Publishing and fetching tables of two sizes."""
    worst = []
    for kind in DATABASES:
        few, many = (
            reading.snapshot_costs(kind, entries=entries, repeats=repeats)
            for entries, repeats in (
                (_FEW_ENTRIES, 10 * size.repeats),
                (size.entries, size.repeats),
            )
        )
        for what in ("publish", "get", "get_gzip"):
            small, large = getattr(few, what), getattr(many, what)
            worst.append(large / small)
            report.row(
                f"{what} {many.entries} entries, {kind}",
                f"{large:.1f} ms/MB, {large / small:.2f} of {few.entries} entries'",
                large * many.mb,
                None,
            )
    return {"snapshot_100k_per_mb_ratio": max(worst)}


def remember(size: Size, report: Report) -> Numbers:
    """Memory over many look-ups."""
    requests, operators = size.looked_up
    grown = [
        reading.memory_growth_mb(kind, requests=requests, operators=operators) for kind in DATABASES
    ]
    for kind, mb in zip(DATABASES, grown, strict=True):
        what = f"memory over {requests} look-ups of {operators}, {kind}"
        report.row(what, f"{mb:+.1f} MB", None, None)
    return {"memory_growth_mb": max(grown)}


def withstand(size: Size, report: Report) -> Numbers:
    """Bodies that are made to cost much, without a token."""
    return _flooded("flood", size, report, with_token=False)


def read_worst(size: Size, report: Report) -> Numbers:
    """The same with a token, as large as the server reads them."""
    return _flooded("worst_bodies", size, report, with_token=True)


def _flooded(name: str, size: Size, report: Report, *, with_token: bool) -> Numbers:
    floods = [
        flood(kind, clients=_FLOODING, seconds=size.flood_seconds, with_token=with_token)
        for kind in DATABASES
    ]
    whose = "with a token" if with_token else "without a token"
    for kind, one in zip(DATABASES, floods, strict=True):
        report.row(
            f"healthz, {_FLOODING} clients flood {whose}, {kind}",
            f"{one.memory_mb:+.1f} MB, {one.refused_per_s:.0f} refused/s",
            one.healthz.quantile_ms(0.5),
            one.healthz.quantile_ms(0.99),
        )
    return {
        f"{name}_healthz_p99_ms": max(one.healthz.quantile_ms(0.99) for one in floods),
        f"{name}_memory_mb": max(one.memory_mb for one in floods),
    }


def rush(size: Size, report: Report) -> Numbers:
    """Many agents that all ask at once, and then work."""
    agents, seconds = size.rushing
    book = poll(agents=agents, jobs_per_s=_JOBS_PER_S, seconds=seconds, measures_s=size.measures_s)
    if book.lost or book.doubled:
        raise RuntimeError(f"{book.lost} tasks were lost, {book.doubled} were given out twice")
    every_s = [*book.rush_s, *book.claims_s]
    p50_ms, p99_ms = (float(np.quantile(every_s, q) * 1000) for q in (0.5, 0.99))
    report.row(f"claims, {agents} agents", f"{len(every_s)} leases", p50_ms, p99_ms)
    worst_ms = max(book.rush_s, default=0.0) * 1000
    report.row("the same, the slowest of the rush", f"{len(book.rush_s)} leases", None, worst_ms)
    return {"agents2000_claim_p99_ms": p99_ms}


def look_through(size: Size, report: Report) -> Numbers:
    """Pages and queries over very many visits."""
    operators, visits, repeats = size.large
    slowest = []
    for kind in DATABASES:
        found = large_pages(kind, operators=operators, visits=visits, repeats=repeats)
        for name, measured in found.pages.items():
            p50_ms = measured.quantile_ms(0.5)
            slowest.append(p50_ms)
            what = f"{name}, {found.visits:,} visits, {kind}"
            report.row(what, "", p50_ms, measured.quantile_ms(0.99))
    return {"visits1e6_table_page_ms": max(slowest)}


MEASURES: dict[str, Callable[[Size, Report], Numbers]] = {
    "read": read,
    "ingest": store,
    "claims": claim,
    "snapshot": snapshot,
    "memory": remember,
    "flood": withstand,
    "worst_bodies": read_worst,
    "agents2000": rush,
    "visits1e6": look_through,
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument(
        "--million", action="store_true", help="10**6 requests for the growth of memory"
    )
    parser.add_argument("--only", choices=MEASURES, action="append", help="may be repeated")
    chosen = parser.parse_args()
    size, report, numbers = QUICK if chosen.quick else FULL, Report(), Numbers()
    if chosen.million:
        size = replace(size, looked_up=MILLION)
    for name in chosen.only or MEASURES:
        start = time.perf_counter()
        numbers |= MEASURES[name](size, report)
        print(
            f"{name}: {time.perf_counter() - start:.0f} s, load {os.getloadavg()[0]:.1f}",
            file=sys.stderr,
        )
    report.show()
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
