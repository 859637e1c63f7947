"""Clients that are slow, endless or ambiguous, as sockets have them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from profiler_server.kit.http.protocol import Http
from profiler_server.serving import listen

HOST = b"Host: here\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST


class Hasty(Http):
    head_s = body_s = answer_s = 0.3
    bytes_per_s = 1_000
    most_head_bytes = 2_000
    check_every_s = 0.05


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = FastAPI()

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.post("/refused")
    async def refused() -> PlainTextResponse:
        return PlainTextResponse("no", 401)

    @app.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse("x" * 2**24)

    config = uvicorn.Config(app, http=Hasty, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listening = listen("127.0.0.1", 0)
    running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    running.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    running.join()


class Peer:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def close(self) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def sends(self, parts: Sequence[bytes], *, pause_s: float) -> int:
        """How many of the parts were sent before the server hung up."""
        for number, part in enumerate(parts):
            try:
                self.send(part)
            except ConnectionError:
                return number
            time.sleep(pause_s)
        return len(parts)

    def answer(self) -> tuple[int, bytes]:
        """The status and the content of what comes until the server hangs up."""
        content = b""
        while more := self._socket.recv(65_536):
            content += more
        head, _, body = content.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]) if head else 0, body


@pytest.fixture
def peer(port: int) -> Iterator[Peer]:
    with closing(Peer(port)) as made:
        yield made


def kind(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["type"]


def test_who_says_nothing_is_hung_up_on(peer: Peer) -> None:
    assert peer.answer() == (0, b"")


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h"])
def test_a_head_that_does_not_end_is_given_up(peer: Peer, begun: bytes) -> None:
    peer.send(begun)
    assert kind(peer.answer()) == (408, "/problems/request-timeout")


def test_a_head_that_comes_byte_by_byte_is_given_up(peer: Peer) -> None:
    assert peer.sends([bytes([byte]) for byte in POST * 20], pause_s=0.02) < len(POST * 20)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345"]
)
def test_a_body_that_does_not_end_is_given_up(peer: Peer, framing: bytes) -> None:
    peer.send(POST + framing)
    assert kind(peer.answer()) == (408, "/problems/request-timeout")


def test_a_body_that_keeps_coming_has_time(peer: Peer) -> None:
    peer.send(POST + b"Connection: close\r\nContent-Length: 1000\r\n\r\n")
    assert peer.sends([bytes(100)] * 10, pause_s=0.06) == 10
    assert peer.answer() == (200, b"1000")


def test_what_follows_a_refusal_is_not_read_for_ever(peer: Peer) -> None:
    peer.send(POST.replace(b"/ ", b"/refused ") + b"Transfer-Encoding: chunked\r\n\r\n")
    assert peer.sends([b"400\r\n" + bytes(1_024) + b"\r\n"] * 1_000, pause_s=0.005) < 1_000


def test_a_pause_between_requests_is_no_slowness(peer: Peer) -> None:
    request = POST + b"Content-Length: 1\r\n\r\nx"
    for _ in range(2):
        peer.send(request)
        time.sleep(0.5)
    peer.send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert peer.answer()[1].count(b"HTTP/1.1 200 OK") == 2


def test_who_does_not_take_the_answer_is_hung_up_on(peer: Peer) -> None:
    peer.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    time.sleep(1.0)
    with suppress(ConnectionError):
        assert len(peer.answer()[1]) < 2**24


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 1_000,
        b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 5_000,
        b"GET /" + b"a" * 5_000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 1_000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 5_000,
    ],
)
def test_a_head_that_is_too_large_is_refused(peer: Peer, head: bytes) -> None:
    # What comes together with the end of a head is counted with the next part.
    peer.sends([head[:80], head[80:], b"a"], pause_s=0.05)
    assert kind(peer.answer()) == (431, "/problems/head-too-large")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ],
)
def test_a_request_names_one_host(peer: Peer, head: bytes) -> None:
    peer.send(head)
    assert kind(peer.answer()) == (400, "/problems/bad-request")


@pytest.mark.parametrize(
    "head",
    [
        b"POST /refused HTTP/1.0\r\n\r\n",
        *(
            b"POST /refused HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n"
            for host in (b"", b"[2001:db8::1]:8600", b"farm.example")
        ),
    ],
)
def test_hosts_that_there_are_are_taken(peer: Peer, head: bytes) -> None:
    peer.send(head)
    assert peer.answer()[0] == 401
