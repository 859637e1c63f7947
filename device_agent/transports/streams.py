"""What both ways to a phone offer underneath: streams to services of its adb daemon.

Services and their formats: `SERVICES.TXT`, `SYNC.TXT` and `shell_protocol.h` of Android's adb.
"""

from __future__ import annotations

import time
from typing import Protocol

from device_agent.errors import TransportLost
from device_agent.transports.base import Way


class Deadline:
    """The time that an exchange with the device may take in all.

    Args:
        seconds: from now on.
        doing: what the device was asked, for the message.
    """

    def __init__(self, seconds: float, doing: str) -> None:
        self._seconds = seconds
        self._doing = doing
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    def remaining_s(self) -> float:
        """Seconds that are left.

        Raises:
            TransportLost: none are.
        """
        remaining_s = self._end - time.monotonic()
        if remaining_s <= 0:
            raise self.passed()
        return remaining_s

    def passed(self) -> TransportLost:
        """The error that says that the time is over."""
        return TransportLost(f"{self._doing} did not end within {self._seconds:g} s")


class Stream(Protocol):
    """Bytes to and from one service. Its deadline was given when it was opened."""

    def read(self) -> bytes:
        """Some bytes; none at the end of the stream.

        Raises:
            TransportLost: the way broke, or the deadline passed.
        """

    def write(self, content: bytes) -> None:
        """Sends all of it.

        Raises:
            TransportLost: the way broke, or the deadline passed.
        """

    def close(self) -> None:
        """Ends the stream; the way stays usable for the next one."""


class Connection(Protocol):
    """A way to one device on which streams are opened."""

    @property
    def serial(self) -> str:
        """Names the device."""

    @property
    def way(self) -> Way:
        """What lies between."""

    def connect(self, deadline: Deadline) -> None:
        """Makes the way usable.

        Raises:
            TransportLost: nobody answers.
            Unauthorised: the device does not trust this machine.
        """

    def open(self, service: str, deadline: Deadline) -> Stream:
        """Opens a stream to a service.

        Raises:
            ServiceRefused: the device does not offer the service.
            TransportLost: the way broke, or the deadline passed.
        """

    def close(self) -> None:
        """Ends the connection."""


class ServiceRefused(Exception):
    """The device's adb daemon does not offer the service."""


class Reader:
    """Reads a stream in pieces of a wished size."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            TransportLost: the stream ended before, or the way broke.
        """
        while len(self._buffer) < size:
            more = self._stream.read()
            if not more:
                raise TransportLost("the phone ended its answer halfway")
            self._buffer += more
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece

    def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        while more := self._stream.read():
            self._buffer += more
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
