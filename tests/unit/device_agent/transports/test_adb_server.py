from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from device_agent.errors import AdbMissing, TransportLost
from device_agent.transports.adb_server import (
    HOST_VARIABLE,
    PORT_VARIABLE,
    server_address,
    server_phones,
    server_runs,
)


@contextmanager
def server_that_says(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers each connection with the same, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionResetError):
                    connection.sendall(answer)
                    connection.settimeout(2)
                    # Until the client closes: an early end would take the answer with it.
                    while connection.recv(100):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        monkeypatch.setenv(PORT_VARIABLE, str(listener.getsockname()[1]))
        yield
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


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
    listed = b"R58\tdevice\nQ7\tunauthorized\n??\tno permissions (udev?); see [url]\n"
    with server_that_says(b"OKAY%04x%s" % (len(listed), listed), monkeypatch):
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
        server_that_says(answer, monkeypatch),
        pytest.raises(TransportLost, match="the adb server broke off"),
    ):
        server_phones(1)


def test_a_silent_server_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        server_that_says(b"", monkeypatch),
        pytest.raises(TransportLost, match=r"list of phones did not end within 0\.2 s"),
    ):
        server_phones(0.2)
