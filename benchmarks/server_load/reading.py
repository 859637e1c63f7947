"""Conditional requests and look-ups against the bare endpoint, memory, and large snapshots."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

from benchmarks.server_load import bare as bare_endpoint
from benchmarks.server_load import tables
from benchmarks.server_load.load import Measured, drive, request
from benchmarks.server_load.machine import Service, alone, bare, client_apart, resident_mb, service
from netspec.client.http import ProfilerHttp
from netspec.wire import PublishRequest

_CONNECTIONS = 8
#: operators of one look-up, as a search space has
LOOKED_UP = 142
#: fetching takes so much less time than publishing
_GETS_PER_PUBLISH = 10
#: entries of the table that is asked
_TABLE = 2_000


@dataclass(frozen=True)
class Alternated:
    """The same time given to several loads in turn, again and again."""

    rounds: dict[str, list[Measured]]

    def per_s(self, name: str) -> float:
        """Median over rounds of answers a second."""
        return statistics.median(one.per_s for one in self.rounds[name])

    def quantile_ms(self, name: str, quantile: float) -> float:
        """Median over rounds of that quantile of the latency, in ms."""
        return statistics.median(one.quantile_ms(quantile) for one in self.rounds[name])


def against_bare(kind: str, *, rounds: int, seconds: float) -> Alternated:
    """The loads `bare`, `conditional` and `lookup`, servers alone on one core."""
    with client_apart(), service(kind) as served, bare() as bare_server:
        target_id, tag, bodies = _table(served)
        alone(served.replicas[0])
        alone(bare_server)
        path = f"/v1/targets/{target_id}/snapshots/latest"
        ask = request(served.url, "GET", path, headers={**served.headers, "If-None-Match": tag})
        least = request(bare_server.url, "GET", bare_endpoint.PATH)
        loads = {
            "bare": (bare_server.url, repeat(least), 200),
            "conditional": (served.url, repeat(ask), 304),
            "lookup": (served.url, _lookups(served, target_id, bodies, LOOKED_UP), 200),
        }
        done: dict[str, list[Measured]] = {name: [] for name in loads}
        for number in range(rounds + 1):
            for name, (url, requests, status) in loads.items():
                measured = drive(
                    url, requests, connections=_CONNECTIONS, status=status, seconds=seconds
                )
                # The first round warms up.
                if number:
                    done[name].append(measured)
    return Alternated(done)


def memory_growth_mb(kind: str, *, requests: int, operators: int) -> float:
    """How many MB the server's process grows over so many look-ups of so many operators each.

    A twentieth of them, 50 at least, warms up before.
    """
    with service(kind) as served:
        target_id, _, bodies = _table(served)

        def look_up(count: int) -> float:
            wanted = islice(_lookups(served, target_id, bodies, operators), count)
            drive(served.url, wanted, connections=_CONNECTIONS, status=200, seconds=None)
            return resident_mb(served.replicas[0])

        before = look_up(max(requests // 20, 50))
        return look_up(requests) - before


@dataclass(frozen=True)
class SnapshotCosts:
    """Median ms for one MB (10**6 bytes) of a snapshot's JSON."""

    entries: int
    mb: float
    publish: float
    get: float
    get_gzip: float


def snapshot_costs(kind: str, *, entries: int, repeats: int) -> SnapshotCosts:
    """What a table of so many entries costs to publish and to fetch."""
    with service(kind) as served, ProfilerHttp(served.url, served.token) as http:
        device = tables.register(http, 0, "Pixel 1")
        tables.fill(http, device, tables.operators(entries))
        path = f"/v1/targets/{device.target_ids[0]}/snapshots"
        # Publishing again makes the same content: all the work but the insertion.
        body = PublishRequest().model_dump_json().encode()
        tables.publish(http, device.target_ids[0])
        publish = request(served.url, "POST", path, body, served.headers)
        plain = request(served.url, "GET", f"{path}/latest", headers=served.headers)
        gets = _GETS_PER_PUBLISH * repeats
        zipped = request(
            served.url,
            "GET",
            f"{path}/latest",
            headers={**served.headers, "Accept-Encoding": "gzip"},
        )
        of_publish, of_get, of_gzip = (
            drive(served.url, repeat(one, times), connections=1, status=200, seconds=None)
            for one, times in ((publish, repeats), (plain, gets), (zipped, gets))
        )
    mb = of_get.received / gets / 1e6
    per_mb = [one.quantile_ms(0.5) / mb for one in (of_publish, of_get, of_gzip)]
    return SnapshotCosts(entries, mb, *per_mb)


def _table(served: Service) -> tuple[str, str, list[bytes]]:
    """Target, its snapshot's ETag, and its operators as JSON."""
    wanted = tables.operators(_TABLE)
    with ProfilerHttp(served.url, served.token) as http:
        device = tables.register(http, 0, "Pixel 1")
        tables.fill(http, device, wanted)
        tag = tables.publish(http, device.target_ids[0])
    return device.target_ids[0], tag, [one.model_dump_json().encode() for one in wanted]


def _lookups(
    served: Service, target_id: str, operators: Sequence[bytes], count: int
) -> Iterator[bytes]:
    """Each asks for other operators of the table: equal questions could be answered by heart."""
    chance = random.Random(0)  # noqa: S311 - a load, no secret
    while True:
        chosen = b",".join(chance.sample(operators, count))
        body = b'{"target_id":"%s","operators":[%s]}' % (target_id.encode(), chosen)
        yield request(served.url, "POST", "/v1/latencies:lookup", body, served.headers)
