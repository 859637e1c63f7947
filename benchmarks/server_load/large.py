"""Pages and queries of a database with very many visits, over a year of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat

from sqlalchemy import text

from benchmarks.dashboard_load import session as dashboard
from benchmarks.server_load import tables
from benchmarks.server_load.load import Measured, drive, request
from benchmarks.server_load.machine import Service, service
from benchmarks.server_load.reading import LOOKED_UP
from netspec.client.http import ProfilerHttp
from netspec.operators import Operator
from netspec.wire import (
    MAX_VISITS_PER_BATCH,
    LatencyLookup,
    LeaseRelease,
    RegisteredDevice,
)
from profiler_server.entries import derivation
from profiler_server.entries.partitions import ensure_partitions
from profiler_server.entries.rows import VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.kit.sql.metadata import metadata

_MONTHS = 12
_HOURS_A_MONTH = 24 * 30
_DEVICES = 2
#: columns that the copies of a visit have of their own
_OWN = {
    "sqlite": {
        "id": "lower(hex(randomblob(16)))",
        "stored_at": "strftime('%Y-%m-%d %H:%M:%f000', stored_at, '-' || :hours || ' hours')",
    },
    "postgresql": {
        "id": "gen_random_uuid()",
        "stored_at": "stored_at - make_interval(hours => :hours)",
    },
}


@dataclass(frozen=True)
class LargePages:
    """What each page took."""

    visits: int
    pages: dict[str, Measured]


def large_pages(kind: str, *, operators: int, visits: int, repeats: int) -> LargePages:
    """Asks for every kind of page of a table of so many operators, made of so many visits.

    The first visits come over the API; the others are copies of them, spread over a year, of which
    entries are derived anew.
    """
    wanted = tables.operators(operators)
    with service(kind) as served, ProfilerHttp(served.url, served.token) as http:
        devices = [tables.register(http, number, "Pixel 1") for number in range(_DEVICES)]
        target_id = devices[0].target_ids[0]
        jobs = tables.file_job(http, target_id, wanted, rounds=_DEVICES)
        _visit_in_turn(http, devices)
        stored = copy_visits(served, kind, visits)
        with closing(Database(served.database_url)) as database:
            with database.write() as session:
                derivation.rederive(session)
            with database.write() as session:
                session.execute(text("ANALYZE"))
        measured = {
            name: drive(served.url, repeat(asked, repeats), connections=1, status=200, seconds=None)
            for name, asked in _pages(served, http, target_id, jobs[0], wanted)
        }
    return LargePages(stored, measured)


def _visit_in_turn(http: ProfilerHttp, devices: Sequence[RegisteredDevice]) -> None:
    """Has each device visit every task once."""
    while True:
        for device in devices:
            lease = tables.claim(http, device, MAX_VISITS_PER_BATCH)
            if lease is None:
                return
            tables.upload_once(http, device, lease)
            released = LeaseRelease(fence=lease.fence, outcomes=())
            http.request("POST", f"/v1/leases/{lease.id}:release", body=released)


def copy_visits(served: Service, kind: str, visits: int) -> int:
    """Copies the visits that there are, over a year, until there are about so many.

    Returns:
        How many there are then; entries are as they were.
    """
    metadata()
    columns = [column.name for column in VisitRow.__table__.columns]
    own = _OWN[kind]
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(own.get(name, f'"{name}"') for name in columns)
    copied = text(
        f"INSERT INTO visits ({names}) SELECT {values} FROM visits"  # noqa: S608 - our names
        " WHERE stored_at >= :first"
    )
    with closing(Database(served.database_url)) as database:
        with database.write() as session:
            now = database_now(session)
            if not database.is_sqlite:
                for before in range(_MONTHS + 1):
                    ensure_partitions(session, Month.of(now).plus(-before))
            first = session.scalar(text("SELECT min(stored_at) FROM visits"))
            there = session.execute(text("SELECT count(*) FROM visits")).scalar_one()
            copies = max(0, visits // there - 1)
        for number in range(copies):
            hours = 48 + number * _MONTHS * _HOURS_A_MONTH // max(1, copies)
            with database.write() as session:
                session.execute(copied, {"hours": hours, "first": first})
        with database.read() as session:
            return int(session.execute(text("SELECT count(*) FROM visits")).scalar_one())


def _pages(
    served: Service, http: ProfilerHttp, target_id: str, job_id: str, wanted: tuple[Operator, ...]
) -> Iterator[tuple[str, bytes]]:
    target = f"/v1/targets/{target_id}"
    entry = f"{target}/entries/{wanted[0].content_hash}"
    paths = {
        "targets": "/v1/targets",
        "devices": "/v1/devices",
        "jobs": "/v1/jobs",
        "a job": f"/v1/jobs/{job_id}",
        "a job's entries": f"/v1/jobs/{job_id}/entries",
        "events": "/v1/events",
        "an entry": entry,
        "its visits": f"{entry}/visits",
        "disagreement": f"{target}/disagreement",
        "one latency": f"{target}/latency?key={wanted[0].key}",
    }
    for name, path in paths.items():
        yield name, request(served.url, "GET", path, headers=served.headers)
    second = http.request("GET", f"{entry}/visits?limit=5").links["next"]["url"]
    later = second if second.startswith("/") else "/" + second.split("/", 3)[3]
    yield "its visits, later", request(served.url, "GET", later, headers=served.headers)
    body = LatencyLookup(target_id=target_id, operators=wanted[:LOOKED_UP]).model_dump_json()
    asked = request(served.url, "POST", "/v1/latencies:lookup", body.encode(), served.headers)
    yield f"look-up of {LOOKED_UP}", asked
    signed_in = {"Cookie": dashboard.cookie(served)}
    shown = f"/dashboard/targets/{target_id}"
    pages = {
        "farm": "/dashboard/",
        "table": shown,
        "entry": f"{shown}/entries/{wanted[0].content_hash}",
        "jobs": "/dashboard/jobs",
        "job": f"/dashboard/jobs/{job_id}",
        "targets": "/dashboard/targets",
    }
    for name, path in pages.items():
        yield f"page: {name}", request(served.url, "GET", path, headers=signed_in)
