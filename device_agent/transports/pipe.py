"""What lies beneath adb-shell: bytes to and from the phone, each exchange with a deadline.

adb-shell's own TCP socket sends with Nagle's algorithm (40 ms a shell call), loses what a full
buffer did not take, and asks again and again when the peer has closed.
"""

from __future__ import annotations

import socket
from abc import abstractmethod

from adb_shell.transport.base_transport import BaseTransport
from cryptography.hazmat.primitives.asymmetric import rsa

from device_agent.errors import DeviceNotReady, TransportLost
from device_agent.transports.streams import Deadline
from device_agent.transports.wifi.tls import TlsError, TlsSocket


class Pipe(BaseTransport):  # type: ignore[misc]  # adb-shell has no types
    """A connection whose every read and write ends before the current deadline.

    The time-outs that adb-shell passes are those of single packets; they are left aside.
    """

    def __init__(self) -> None:
        #: of the exchange under way
        self.deadline = Deadline(0, "nothing")

    @abstractmethod
    def connect(self, transport_timeout_s: float | None) -> None:
        """Connects.

        Raises:
            TransportLost: nobody answers there.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes; also what is closed already."""

    @abstractmethod
    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Up to `numbytes` bytes, at least one.

        Raises:
            TransportLost: none came in time, or the peer has closed.
        """

    @abstractmethod
    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Sends all of it.

        Raises:
            TransportLost: it could not be sent in time, or the peer has closed.
        """


class TcpPipe(Pipe):
    """A TCP connection to the phone's adb daemon."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._address = (host, port)
        self._name = f"{host}:{port}"
        self._socket: socket.socket | TlsSocket | None = None

    def connect(self, transport_timeout_s: float | None) -> None:
        """Connects."""
        del transport_timeout_s
        self.close()
        try:
            connected = socket.create_connection(self._address, self.deadline.remaining_s())
        except OSError as error:
            raise TransportLost(f"no answer at {self._name} ({_cause(error)})") from error
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connected

    def start_tls(self, key: rsa.RSAPrivateKey) -> TlsSocket:
        """Goes on in TLS 1.3, as the host's side of it; all later bytes go through it.

        Raises:
            TransportLost: the phone does not agree, or went away.
        """
        plain = self._ready()
        if isinstance(plain, TlsSocket):
            raise TransportLost(f"{self._name} speaks TLS already")
        self._socket = tls = TlsSocket(plain, key)
        tls.settimeout(self.deadline.remaining_s())
        try:
            tls.handshake()
        except TlsError as error:
            raise TransportLost(f"{self._name} does not agree on TLS 1.3 ({error})") from error
        except OSError as error:
            raise self._lost(error) from error
        return tls

    def exactly(self, size: int) -> bytes:
        """That many bytes.

        Raises:
            TransportLost: they did not come in time, or the peer has closed.
        """
        received = b""
        while len(received) < size:
            # A subclass reads this way to see what comes before adb-shell does.
            received += TcpPipe.bulk_read(self, size - len(received), None)
        return received

    def close(self) -> None:
        """Closes; also what is closed already."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Up to `numbytes` bytes, at least one."""
        del transport_timeout_s
        try:
            content = self._ready().recv(numbytes)
        except OSError as error:
            raise self._lost(error) from error
        if not content:
            raise TransportLost(f"{self._name} closed the connection")
        return content

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Sends all of it."""
        del transport_timeout_s
        try:
            self._ready().sendall(data)
        except OSError as error:
            raise self._lost(error) from error
        return len(data)

    def _ready(self) -> socket.socket | TlsSocket:
        if self._socket is None:
            raise TransportLost(f"{self._name} is not connected")
        self._socket.settimeout(self.deadline.remaining_s())
        return self._socket

    def _lost(self, error: OSError) -> DeviceNotReady:
        if isinstance(error, TimeoutError):
            return self.deadline.passed()
        return TransportLost(f"the connection to {self._name} broke: {_cause(error)}")


def _cause(error: OSError) -> str:
    return error.strerror or str(error)
