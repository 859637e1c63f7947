"""A closed loop of HTTP/1.1 requests, cheap enough that the server is what is measured.

Requests are bytes made in advance; of an answer only status and length are read. One request
costs the client about 20 us of its core.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

_TIMEOUT_S = 60.0
_CHUNK = 2**20
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True)
class Measured:
    """Requests that were answered within a stretch of time."""

    #: s from the first request to the last answer
    seconds: float
    #: s from request to answer, one a request
    latencies_s: npt.NDArray[np.float64]
    #: bytes of all bodies
    received: int

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, quantile: float) -> float:
        """Latency in ms."""
        return float(np.quantile(self.latencies_s, quantile) * 1000)


def request(
    url: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def drive(
    url: str, requests: Iterable[bytes], *, connections: int, status: int, seconds: float | None
) -> Measured:
    """Sends the requests over some connections, each the next one when its answer is there.

    Args:
        url: of the server.
        requests: what to send; ends the loop when it ends.
        connections: how many requests are under way at a time.
        status: what every answer must have.
        seconds: for how long new requests are sent; None: until `requests` ends.

    Raises:
        RuntimeError: an answer has another status, or a connection broke.
    """
    left = iter(requests)
    opened = [_Connection(url, status) for _ in range(connections)]
    by_number = {one.fileno(): one for one in opened}
    poller = select.epoll()
    start = time.perf_counter()
    until = None if seconds is None else start + seconds
    busy = 0
    try:
        for one in opened:
            poller.register(one.fileno(), select.EPOLLIN)
            busy += one.send_next(left)
        while busy:
            ready = poller.poll(_TIMEOUT_S)
            if not ready:
                raise RuntimeError(f"{url} has not answered for {_TIMEOUT_S} s")
            for number, _ in ready:
                one = by_number[number]
                if not one.receive():
                    continue
                stops = until is not None and time.perf_counter() >= until
                if stops or not one.send_next(left):
                    busy -= 1
        seconds_taken = time.perf_counter() - start
    finally:
        poller.close()
        for one in opened:
            one.close()
    latencies = np.array([latency for one in opened for latency in one.latencies_s])
    return Measured(seconds_taken, latencies, sum(one.received for one in opened))


class _Connection:
    def __init__(self, url: str, status: int) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._status = b" %d " % status
        self._head = b""
        self._missing = 0
        self._sent_at = 0.0
        self.latencies_s: list[float] = []
        self.received = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send_next(self, requests: Iterator[bytes]) -> bool:
        """Whether there was a request left."""
        content = next(requests, None)
        if content is None:
            return False
        self._sent_at = time.perf_counter()
        self._socket.sendall(content)
        return True

    def receive(self) -> bool:
        """Reads what is there; whether the answer is complete."""
        content = self._socket.recv(_CHUNK)
        if not content:
            raise RuntimeError("the server closed a connection")
        if self._missing:
            self._missing -= len(content)
        else:
            self._head += content
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return False
            self._missing = self._length(head, body) - len(body)
            self._head = b""
        if self._missing:
            return False
        self.latencies_s.append(time.perf_counter() - self._sent_at)
        return True

    def _length(self, head: bytes, body: bytes) -> int:
        if head[8:13] != self._status:
            raise RuntimeError(f"expected{self._status.decode()}, got {(head + body)[:500]!r}")
        if int(head[9:12]) in _BODILESS:
            return 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                self.received += int(value)
                return int(value)
        raise RuntimeError(f"an answer without Content-Length: {head[:500]!r}")
