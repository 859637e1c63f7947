from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from device_agent.errors import AdbMissing, TransportLost, Unauthorised
from device_agent.transports.adb_server import (
    HOST_VARIABLE,
    PORT_VARIABLE,
    ServerConnection,
    server_address,
    server_phones,
    server_runs,
)
from device_agent.transports.streams import Deadline


@contextmanager
def server_that_answers(
    answer: Callable[[str], Iterable[bytes]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Answers each command in pieces; the commands that came."""
    asked: list[str] = []

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(2)
            with suppress(ConnectionError):
                command = connection.recv(100).decode()[4:]
                if not command:  # only looked whether somebody listens
                    return
                asked.append(command)
                for piece in answer(command):
                    connection.sendall(piece)
                # Until the client closes: an early end would take the answer with it.
                while connection.recv(100):
                    pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv(PORT_VARIABLE, str(server.server_address[1]))
        yield asked
        server.shutdown()
        thread.join()


def block(text: str) -> bytes:
    """A text as the server sends it, its length before it."""
    return b"%04x%s" % (len(text), text.encode())


def test_adbs_own_variables_say_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOST_VARIABLE, raising=False)
    monkeypatch.delenv(PORT_VARIABLE, raising=False)
    assert server_address() == ("127.0.0.1", 5037)
    monkeypatch.setenv(HOST_VARIABLE, "farm")
    monkeypatch.setenv(PORT_VARIABLE, "5038")
    assert server_address() == ("farm", 5038)


@pytest.mark.parametrize("port", ["five", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORT_VARIABLE, port)
    with pytest.raises(AdbMissing, match="must be the port of an adb server"):
        server_runs()


def test_no_server_is_started_where_none_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORT_VARIABLE, "1")
    assert not server_runs()
    with pytest.raises(TransportLost, match=r"no adb server answers at 127\.0\.0\.1:1; start one"):
        server_phones(1)


def test_phones_are_listed_with_their_states(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "R58\tdevice\nQ7\tunauthorized\n??\tno permissions (udev?); see [url]\n"
    with server_that_answers(lambda _: [b"OKAY", block(listed)], monkeypatch):
        assert server_phones(2) == [
            ("R58", "device"),
            ("Q7", "unauthorized"),
            ("??", "no permissions (udev?); see [url]"),
        ]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"FAIL0004nope", b"OKAYzzzz"]
)
def test_what_is_no_adb_server_is_said_to_be_none(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        server_that_answers(lambda _: [answer], monkeypatch),
        pytest.raises(TransportLost, match="the adb server broke off"),
    ):
        server_phones(1)


def test_a_silent_server_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        server_that_answers(lambda _: [], monkeypatch),
        pytest.raises(TransportLost, match=r"list of phones did not end within 0\.2 s"),
    ):
        server_phones(0.2)


ADDRESS = "192.168.1.20:5555"


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        ("unauthorized", Unauthorised, "does not trust the adb server yet"),
        ("offline", TransportLost, "the adb server says that R58 is offline"),
    ],
)
def test_a_phone_that_does_not_come_is_given_up_in_time(
    state: str, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        server_that_answers(lambda _: [b"OKAY", block(f"R58\t{state}\n")], monkeypatch),
        pytest.raises(error, match=says),
    ):
        ServerConnection("R58").connect(Deadline(0.2, "a test"))


def server_without(said: str) -> Callable[[str], list[bytes]]:
    """A server that never has the phone; what it says of it."""

    def answer(command: str) -> list[bytes]:
        status = b"FAIL" if command.startswith("host:transport") else b"OKAY"
        return [status, block("" if command == "host:devices" else said)]

    return answer


def test_what_the_server_says_against_an_address_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        server_that_answers(server_without("bad port number 'x'"), monkeypatch) as asked,
        pytest.raises(TransportLost, match="the adb server says: bad port number"),
    ):
        ServerConnection(ADDRESS).connect(Deadline(5, "a test"))
    assert asked.count(f"host:connect:{ADDRESS}") == 1


def test_a_phone_that_leaves_again_and_again_is_not_connected_to_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        server_that_answers(server_without(f"connected to {ADDRESS}"), monkeypatch) as asked,
        pytest.raises(TransportLost, match=f"the adb server says that {ADDRESS} is not there"),
    ):
        ServerConnection(ADDRESS).connect(Deadline(0.5, "a test"))
    assert 2 <= asked.count(f"host:connect:{ADDRESS}") <= 6
