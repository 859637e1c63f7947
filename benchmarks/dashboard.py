"""What the dashboard's pages cost on this machine, as a browser's owner sees it.

Real processes, SQLite and PostgreSQL with fsync. A server with 1,000 devices, a table of 100,000
entries and 1,000,000 visits is asked for its pages in turn with one that has next to nothing. The
last line is one JSON object: `page_ratio`: median time of a page of the full server over that of
the empty one, the worst of the pages and databases. `page_kb`: the largest page in kB (1,000 bytes)
as it is sent to a client that takes no gzip, without the plotting script, which is a file of its
own. `sse_cpu_percent`: of one core, what the full server's process spends while 50 live pages of
the farm are open and a fifth of their devices comes or goes each second, the worse of both
databases. `first_paint_waits_for_script`: whether Chromium, to which the script's answer is held
back, has painted a page with its tables only after that, or not at all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks.dashboard_load import farm, session
from benchmarks.dashboard_load.farm import Shown
from benchmarks.dashboard_load.paint import first_paints_ms
from benchmarks.dashboard_load.streams import sse_cpu_percent
from benchmarks.server_load.large import copy_visits
from benchmarks.server_load.load import drive, request
from benchmarks.server_load.machine import DATABASES, Service, service


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    devices: int
    entries: int
    visits: int
    rounds: int
    #: of each page, each round
    requests: int


FULL = Size(1_000, 100_000, 1_000_000, 15, 4)
QUICK = Size(50, 2_000, 10_000, 5, 2)
_OPEN_PAGES = 50
_WATCHED_S = 20.0
_HELD_MS = 3_000.0
_BYTES_PER_KB = 1_000


class Asker:
    """Somebody who has signed in to one server."""

    def __init__(self, served: Service) -> None:
        self._served = served
        self._headers = {"Cookie": session.cookie(served)}

    def times_ms(self, path: str, times: int) -> list[float]:
        """How long each answer took."""
        asked = repeat(self._request(path), times)
        done = drive(self._served.url, asked, connections=1, status=200, seconds=None)
        return [1_000 * float(seconds) for seconds in done.latencies_s]

    def kb(self, path: str, **headers: str) -> float:
        """Size of the answer."""
        asked = [self._request(path, headers)]
        done = drive(self._served.url, asked, connections=1, status=200, seconds=None)
        return done.received / _BYTES_PER_KB

    def _request(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        everything = {**self._headers, **(headers or {})}
        return request(self._served.url, "GET", f"/dashboard{path}", headers=everything)


@dataclass(frozen=True)
class Figures:
    """Of one database."""

    ratios: Mapping[str, float]
    kb: Mapping[str, float]
    paints_ms: Mapping[str, float | None]
    sse_cpu_percent: float


def measure(kind: str, size: Size, table: Table) -> Figures:
    """Fills a server, asks it and an empty one in turn, and has a browser look."""
    with service(kind) as empty_server, service(kind) as full_server:
        few = farm.small(empty_server)
        many = farm.full(full_server, devices=size.devices, entries=size.entries)
        copy_visits(full_server, kind, size.visits)
        empty, full = Asker(empty_server), Asker(full_server)
        ratios = {}
        for name in many.both:
            before, after = _alternated(empty, few, full, many, name, size)
            ratios[name] = after / before
            table.add_row(kind, name, f"{before:.1f}", f"{after:.1f}", f"{ratios[name]:.2f}")
        pages = {**many.both, **many.only}
        kb = {name: full.kb(path) for name, path in pages.items()}
        for name, path in pages.items():
            zipped = full.kb(path, **{"Accept-Encoding": "gzip"})
            table.add_row(kind, f"{name}, size", "", f"{kb[name]:.0f} kB", f"{zipped:.0f} kB gzip")
        charts = ("networks with calibration", "an entry")
        painted = first_paints_ms(full_server, (pages[name] for name in charts), _HELD_MS)
        paints_ms = dict(zip(charts, painted, strict=True))
        for name, ms in paints_ms.items():
            shown = "not painted" if ms is None else f"{ms:.0f}"
            table.add_row(kind, f"{name}, first paint without script", "", shown, "")
        cpu = sse_cpu_percent(full_server, _OPEN_PAGES, _WATCHED_S)
        table.add_row(kind, f"{_OPEN_PAGES} live farms open", "", f"{cpu:.1f} % of a core", "")
    return Figures(ratios, kb, paints_ms, cpu)


def _alternated(
    empty: Asker, few: Shown, full: Asker, many: Shown, name: str, size: Size
) -> tuple[float, float]:
    """Median ms of a page of either server; the first round warms up."""
    before: list[float] = []
    after: list[float] = []
    for number in range(size.rounds + 1):
        of_empty = empty.times_ms(few.both[name], size.requests)
        of_full = full.times_ms(many.both[name], size.requests)
        if number:
            before += of_empty
            after += of_full
    return statistics.median(before), statistics.median(after)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument("--only", choices=DATABASES, action="append", help="may be repeated")
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else FULL
    table = Table(
        "database",
        "page",
        "empty, ms",
        f"{size.devices:,} devices, {size.entries:,} entries, {size.visits:,} visits, ms",
        "ratio",
        title="dashboard",
    )
    found = [measure(kind, size, table) for kind in chosen.only or DATABASES]
    Console(width=120).print(table)
    painted = [ms for one in found for ms in one.paints_ms.values()]
    numbers = {
        "page_ratio": max(ratio for one in found for ratio in one.ratios.values()),
        "page_kb": max(kb for one in found for kb in one.kb.values()),
        "sse_cpu_percent": max(one.sse_cpu_percent for one in found),
        "first_paint_waits_for_script": any(ms is None for ms in painted),
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
