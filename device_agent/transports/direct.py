"""Straight to the phone with adb-shell, over TCP or USB: no adb server is needed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adb_shell import constants, exceptions
from adb_shell.adb_device import AdbDevice
from adb_shell.adb_message import AdbMessage
from adb_shell.hidden_helpers import _AdbTransactionInfo

from device_agent.errors import TransportLost, Unauthorised
from device_agent.text import one_line
from device_agent.transports.base import Way
from device_agent.transports.keys import Key
from device_agent.transports.pipe import Pipe
from device_agent.transports.streams import Deadline, ServiceRefused

#: bytes of one packet; larger ones gain nothing and are copied more often
_MAX_PACKET = 256 * 1024

#: characters of adb-shell's own message, which holds whole packets
_SHOWN = 80
#: all of them share no base of their own
_ADB_SHELL_ERRORS = (
    exceptions.AdbCommandFailureException,
    exceptions.AdbConnectionError,
    exceptions.AdbTimeoutError,
    exceptions.InvalidChecksumError,
    exceptions.InvalidCommandError,
    exceptions.InvalidResponseError,
    struct.error,
)


class DirectConnection:
    """adb-shell on a pipe of ours.

    Streams are opened and read through the parts of adb-shell that its own `shell` and `push` use;
    those lose a refusal that comes while a file is still being sent, and wait in vain for a
    service that the phone does not offer.

    Args:
        serial: names the device.
        way: `tcp` or `usb`.
        pipe: not yet connected.
        key: what the phone knows this machine by.
    """

    def __init__(self, serial: str, way: Way, pipe: Pipe, key: Key) -> None:
        self.serial = serial
        self.way = way
        self._pipe = pipe
        self._key = key
        self._device = AdbDevice(pipe, banner=b"device-agent")

    def connect(self, deadline: Deadline) -> None:
        """Connects, and proves that this machine holds its key, in TLS or by a signature."""
        self._pipe.deadline = deadline
        signatures: list[bool] = []
        try:
            self._device.connect(
                rsa_keys=[self._key],
                transport_timeout_s=deadline.remaining_s(),
                read_timeout_s=deadline.remaining_s(),
                auth_timeout_s=deadline.remaining_s(),
                auth_callback=lambda _: signatures.append(True),
            )
        except Unauthorised:
            self.close()
            raise
        except (*_ADB_SHELL_ERRORS, exceptions.DeviceAuthError, TransportLost) as error:
            self.close()
            if signatures:
                raise Unauthorised(
                    f"{self.serial} does not trust this machine yet: unlock the phone and confirm "
                    "`Allow USB debugging?` with `Always allow`; if it does not ask, revoke its "
                    f"USB debugging authorisations and connect again (key: {self._key.path})"
                ) from error
            raise self._lost(error) from error

    def open(self, service: str, deadline: Deadline) -> _DirectStream:
        """Opens a stream to a service."""
        self._pipe.deadline = deadline
        stream = _DirectStream(self, self._device)
        stream.start(service, deadline)
        return stream

    def close(self) -> None:
        """Ends the connection."""
        self._device.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of adb-shell become ours."""
        try:
            yield
        except _ADB_SHELL_ERRORS as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> TransportLost:
        if isinstance(error, TransportLost):
            return error
        reason = one_line(error)[:_SHOWN]
        return TransportLost(f"{self.serial} answers what is not adb's protocol: {reason}")


class _DirectStream:
    def __init__(self, connection: DirectConnection, device: Any) -> None:
        self._connection = connection
        self._device = device
        self._io = device._io_manager  # noqa: SLF001 - see DirectConnection
        self._info: Any = None
        self._received = bytearray()
        self._open = True

    def start(self, service: str, deadline: Deadline) -> None:
        device = self._device
        with self._connection.translated():
            device._local_id += 1  # noqa: SLF001
            remaining_s = deadline.remaining_s()
            self._info = _AdbTransactionInfo(device._local_id, None, remaining_s, remaining_s)  # noqa: SLF001
            self._send(constants.OPEN, service.encode() + b"\0")
            command, remote, _, _ = self._io.read([constants.OKAY, constants.CLSE], self._info)
        if command == constants.CLSE:
            raise ServiceRefused(service)
        self._info.remote_id = remote

    def read(self) -> bytes:
        """Some bytes; none at the end of the stream."""
        if not self._received and self._open:
            self._next([constants.WRTE, constants.CLSE])
        received = bytes(self._received)
        self._received.clear()
        return received

    def write(self, content: bytes) -> None:
        """Sends all of it; a peer that has ended the stream is no longer sent to."""
        size = min(_MAX_PACKET, self._device._maxdata)  # noqa: SLF001
        for start in range(0, len(content), size):
            if not self._open:
                return
            with self._connection.translated():
                self._send(constants.WRTE, content[start : start + size])
            while self._open and self._next([constants.OKAY, constants.WRTE, constants.CLSE]):
                pass

    def close(self) -> None:
        """Ends the stream."""
        if self._open:
            self._open = False
            with self._connection.translated():
                self._send(constants.CLSE)

    def _next(self, expected: list[bytes]) -> bool:
        """Takes the next packet in; whether it was another than OKAY."""
        with self._connection.translated():
            command, _, _, content = self._io.read(expected, self._info, allow_zeros=True)
            if command == constants.WRTE:
                self._received += content
                self._send(constants.OKAY)
            elif command == constants.CLSE:
                self._open = False
                self._send(constants.CLSE)
        return bool(command != constants.OKAY)

    def _send(self, command: bytes, content: bytes = b"") -> None:
        remote = self._info.remote_id or 0
        self._io.send(AdbMessage(command, self._info.local_id, remote, content), self._info)
