"""Through a running adb server: phones shared with other tools, and those that it alone knows."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adbutils import AdbClient, AdbConnection, AdbError

from device_agent.errors import AdbMissing, TransportLost, Unauthorised
from device_agent.text import one_line
from device_agent.transports.base import Way, is_network_name
from device_agent.transports.streams import Deadline, ServiceRefused

HOST_VARIABLE = "ANDROID_ADB_SERVER_HOST"
PORT_VARIABLE = "ANDROID_ADB_SERVER_PORT"
_DEFAULT_PORT, _LAST_PORT = 5037, 65_535
#: s between two looks at whether a phone has come back. A server tells of changes by itself
#: (`host:track-devices`), but adb 29 keeps silent when a phone becomes `unauthorized`
_LOOK_EVERY_S = 0.1
#: what a server, or a phone of its, that is there answers within
_ANSWERS_WITHIN_S = 1.0
#: our word for what the server does not list
_ABSENT = "not there"
#: how its answers to `connect` begin where a phone is there
_THERE = ("connected to", "already connected to", "failed to authenticate to")
#: bytes taken from the server at once
_PIECE = 256 * 1024


def server_address() -> tuple[str, int]:
    """Where the adb server listens: adb's own two environment variables, or its default.

    Raises:
        AdbMissing: the port is none.
    """
    host = os.environ.get(HOST_VARIABLE) or "127.0.0.1"
    port = os.environ.get(PORT_VARIABLE) or str(_DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise AdbMissing(f"{PORT_VARIABLE} is {port!r}; it must be the port of an adb server")
    return host, int(port)


def server_runs() -> bool:
    """Whether one answers. None is ever started: it would take hold of every phone at USB."""
    try:
        socket.create_connection(server_address(), _ANSWERS_WITHIN_S).close()
    except OSError:
        return False
    return True


def server_phones(timeout_s: float) -> list[tuple[str, str]]:
    """Serial and state (`device`, `unauthorized`, `offline`, ...) of all phones of the server.

    Raises:
        TransportLost: the server does not answer.
    """
    deadline = Deadline(timeout_s, "the adb server's list of phones")
    with _translated(deadline), _asked(deadline) as connection:
        connection.send_command("host:devices")
        connection.check_okay()
        lines = connection.read_string_block().splitlines()
    return [(serial, state) for serial, _, state in (line.partition("\t") for line in lines)]


class ServerConnection:
    """One phone of the adb server. Streams are connections to the server.

    Args:
        serial: as the server calls it.
    """

    way: Way = "adb-server"

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self._stream: _ServerStream | None = None

    def connect(self, deadline: Deadline) -> None:
        """Waits for the server to have the phone; one at TCP that is silent is connected to again.

        One that answers is left as it is: other tools use the same connection.
        """
        over_tcp = is_network_name(self.serial)
        if over_tcp and not self._answers(deadline):
            self._ask_server(f"host:disconnect:{self.serial}", deadline)
        state = _ABSENT
        try:
            while (state := self._state(deadline)) != "device":
                # Also again: a server still busy with the end of the old connection to this
                # address takes the new one down with it.
                if over_tcp and state == _ABSENT:
                    self._connect_server(deadline)
                time.sleep(min(_LOOK_EVERY_S, deadline.remaining_s()))
        except TransportLost as error:
            if not deadline.over:
                raise
            raise self._not_ready(state) from error

    def open(self, service: str, deadline: Deadline) -> _ServerStream:
        """Opens a stream to a service."""
        with _translated(deadline):
            connection = _connected(deadline)
            try:
                connection.send_command(f"host:transport:{self.serial}")
                connection.check_okay()
            except AdbError as error:
                connection.close()
                raise TransportLost(
                    f"the adb server has no way to {self.serial}: {error}"
                ) from error
            connection.send_command(service)
            try:
                connection.check_okay()
            except AdbError as error:
                connection.close()
                if "closed" in str(error):
                    raise ServiceRefused(service) from error
                raise
        self._stream = _ServerStream(connection, deadline)
        return self._stream

    def close(self) -> None:
        """Ends the stream that is open, if one is: nothing else is kept."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _answers(self, deadline: Deadline) -> bool:
        """Whether the phone does, through the server's connection; a dead one may be kept long."""
        soon = Deadline(
            min(_ANSWERS_WITHIN_S, deadline.remaining_s() / 4), f"an answer of {self.serial}"
        )
        try:
            self.open("shell:true", soon).close()
        except (TransportLost, ServiceRefused):
            return False
        return True

    def _state(self, deadline: Deadline) -> str:
        phones = dict(server_phones(deadline.remaining_s()))
        return phones.get(self.serial, _ABSENT)

    def _connect_server(self, deadline: Deadline) -> None:
        answer = self._ask_server(f"host:connect:{self.serial}", deadline)
        if not answer.startswith(_THERE):
            raise TransportLost(f"the adb server says: {one_line(answer)}")

    def _ask_server(self, command: str, deadline: Deadline) -> str:
        """What it answers, which is prose also where it refuses."""
        with _translated(deadline), _asked(deadline) as connection:
            connection.send_command(command)
            status = connection.read(4)
            if status not in {b"OKAY", b"FAIL"}:
                raise TransportLost(f"the adb server answers garbage ({status!r})")
            return str(connection.read_string_block())

    def _not_ready(self, state: str) -> TransportLost | Unauthorised:
        if state in {"unauthorized", "authorizing"}:
            return Unauthorised(
                f"{self.serial} does not trust the adb server yet: unlock the phone and confirm "
                "`Allow USB debugging?` with `Always allow`"
            )
        return TransportLost(f"the adb server says that {self.serial} is {state}")


class _ServerStream:
    def __init__(self, connection: AdbConnection, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def read(self) -> bytes:
        """Some bytes; none at the end of the stream."""
        with _translated(self._deadline):
            self._connection.conn.settimeout(self._deadline.remaining_s())
            return bytes(self._connection.conn.recv(_PIECE))

    def write(self, content: bytes) -> None:
        """Sends all of it."""
        with _translated(self._deadline):
            self._connection.conn.settimeout(self._deadline.remaining_s())
            self._connection.conn.sendall(content)

    def close(self) -> None:
        """Ends the stream."""
        self._connection.conn.close()


def _connected(deadline: Deadline) -> Any:
    """A connection to the server, never to one that was started for it."""
    host, port = server_address()
    if not server_runs():
        raise TransportLost(
            f"no adb server answers at {host}:{port}; start one with `adb start-server`"
        )
    connection = AdbClient(host, port).make_connection(deadline.remaining_s())
    connection.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@contextmanager
def _asked(deadline: Deadline) -> Iterator[Any]:
    connection = _connected(deadline)
    try:
        yield connection
    finally:
        connection.conn.close()


@contextmanager
def _translated(deadline: Deadline) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise deadline.passed() from error
    except (AdbError, OSError, EOFError, ValueError) as error:
        deadline.remaining_s()
        raise TransportLost(f"the adb server broke off: {error}") from error
