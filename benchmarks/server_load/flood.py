"""Bodies made to cost much, with and without a token, while others ask for a sign of life."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Collection
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
#: how bodies are refused: for their token, or for what they hold
_REFUSED_TOKEN = frozenset({b"401"})
_REFUSED_BODY = frozenset({b"413", b"422"})


@dataclass(frozen=True)
class Flood:
    """What a server did while it was flooded."""

    #: its answers to `GET /healthz`, one after the other
    healthz: Measured
    #: greatest resident memory, less that of before, in MB
    memory_mb: float
    #: answers to the flood a second
    refused_per_s: float


def flood(kind: str, *, clients: int, seconds: float, with_token: bool = False) -> Flood:
    """Sends worst-case bodies over so many connections at a time.

    Args:
        kind: of the database.
        clients: connections at a time.
        seconds: for so long.
        with_token: of every scope: then bodies are read, and refused for what they hold.
    """
    with client_apart(), service(kind) as served:
        url = served.url
        server = alone(served.replicas[0])
        ask = request(url, "GET", "/healthz")
        drive(url, repeat(ask, _WARM_UP), connections=1, status=200, seconds=None)
        before = resident_mb(server)
        refused, memory, done = [0] * clients, [before], threading.Event()
        if with_token:
            bodies, headers, statuses = _within_limits(), served.headers, _REFUSED_BODY
        else:
            bodies, headers, statuses = _bodies(), {}, _REFUSED_TOKEN
        sent = [request(url, "POST", path, body, headers) for path in _PATHS for body in bodies]

        def send(number: int) -> None:
            turns = cycle(sent)
            while not done.is_set():
                refused[number] += _refused(url, next(turns), statuses)

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


def _within_limits() -> tuple[bytes, ...]:
    """Bodies that a token may send: as deep, as wide and as wrong as are read to their end."""
    deep = b'{"visits":[' + b"[" * 40_000 + b"]" * 40_000 + b"]}"
    wide = b'{"visits":[{}],"operators":[' + b"1," * 900_000 + b"1]}"
    crumb = json.dumps({"x": 1, "y": [1.5], "z": "text"}).encode()
    wrong = b'{"visits":[' + b",".join([crumb] * 33_000) + b"]}"
    names = b",".join(b"{%s}" % b",".join(b'"n%d":0' % n for n in range(900)) for _ in range(9))
    unknown = b'{"visits":[' + names + b"]}"
    return deep, wide, wrong, unknown


def _bodies() -> tuple[bytes, ...]:
    small = json.dumps({"visits": [_CRUMB] * _SMALL_CRUMBS}, separators=(",", ":")).encode()
    crumbs = _SMALL_CRUMBS * _LARGE_BYTES // len(small)
    large = json.dumps({"visits": [_CRUMB] * crumbs}, separators=(",", ":")).encode()
    return small, large


def _refused(url: str, content: bytes, statuses: Collection[bytes]) -> bool:
    """Sends a request on a connection of its own; whether it was refused as expected.

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
    if status not in statuses:
        raise RuntimeError(f"{url} answered {status!r} to a body made to cost much")
    return True
