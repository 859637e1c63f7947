"""Bodies made to cost much, from clients without a token, while others ask for a sign of life."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, repeat
from urllib.parse import urlsplit

from benchmarks.server_load.load import Measured, drive, request
from benchmarks.server_load.machine import alone, client_apart, resident_mb, service

#: arrays in arrays: each byte of it makes the most work for a parser of messages
_CRUMB = {"x": [[[[[1]]]]]}
#: of the largest body; of a small one the crumbs of 1 MiB
_LARGE_BYTES = 30 * 2**20
_SMALL_CRUMBS = 60_000
_PATHS = ("/v1/visits:batch", "/v1/jobs")
#: s between two looks at the server's memory
_LOOK_EVERY_S = 0.02
_WARM_UP = 200


@dataclass(frozen=True)
class Flood:
    """What a server did while it was flooded."""

    #: its answers to `GET /healthz`, one after the other
    healthz: Measured
    #: greatest resident memory, less that of before, in MB
    memory_mb: float
    #: answers to the flood a second
    refused_per_s: float


def flood(kind: str, *, clients: int, seconds: float) -> Flood:
    """Sends worst-case bodies without a token over so many connections at a time."""
    with client_apart(), service(kind) as served:
        url = served.url
        server = alone(served.replicas[0])
        ask = request(url, "GET", "/healthz")
        drive(url, repeat(ask, _WARM_UP), connections=1, status=200, seconds=None)
        before = resident_mb(server)
        refused, memory, done = [0] * clients, [before], threading.Event()
        sent = [request(url, "POST", path, body) for path in _PATHS for body in _bodies()]

        def send(number: int) -> None:
            turns = cycle(sent)
            while not done.is_set():
                refused[number] += _refused(url, next(turns))

        def look() -> None:
            while not done.wait(_LOOK_EVERY_S):
                memory.append(resident_mb(server))

        threads = [threading.Thread(target=send, args=[number]) for number in range(clients)]
        threads.append(threading.Thread(target=look))
        for one in threads:
            one.start()
        try:
            healthz = drive(url, repeat(ask), connections=1, status=200, seconds=seconds)
        finally:
            done.set()
            for one in threads:
                one.join()
    return Flood(healthz, max(memory) - before, sum(refused) / healthz.seconds)


def _bodies() -> tuple[bytes, bytes]:
    small = json.dumps({"visits": [_CRUMB] * _SMALL_CRUMBS}, separators=(",", ":")).encode()
    crumbs = _SMALL_CRUMBS * _LARGE_BYTES // len(small)
    large = json.dumps({"visits": [_CRUMB] * crumbs}, separators=(",", ":")).encode()
    return small, large


def _refused(url: str, content: bytes) -> bool:
    """Sends a request on a connection of its own; whether the answer was 401.

    Raises:
        RuntimeError: it was another one.
    """
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        # The server may answer, and hang up, before it has seen all of it.
        with suppress(ConnectionError):
            connection.sendall(content)
        try:
            status = connection.recv(2**16)[9:12]
        except ConnectionError:
            return False
    if status != b"401":
        raise RuntimeError(f"{url} answered {status!r} to a body without a token")
    return True
