"""The device's side of the ADB protocol, for fake phones.

Source: `protocol.txt` and `shell_protocol.h` of Android's adb. Version 0x01000001 of
the protocol: checksums are left out for peers that know it.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Coroutine
from io import BytesIO
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from tests.phones.shell_io import Io
from tests.phones.shell_run import Shell
from tests.phones.sync_service import FileService
from tests.phones.tls_side import TlsSide, android_key

if TYPE_CHECKING:
    from tests.phones.fake_phone import FakePhone

_HEADER = struct.Struct("<4sIIIII")
_VERSION, _MAX_DATA = 0x01000001, 256 * 1024
_TLS_VERSION = 0x01000000
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3
_PIECE = 64 * 1024
_SHELL_HEADER = struct.Struct("<BI")
_OUTPUT, _ERRORS, _EXIT = 1, 2, 3


class Session:
    """One connection of a host."""

    def __init__(
        self, phone: FakePhone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._phone = phone
        self._connection = (reader, writer)
        self._reader: asyncio.StreamReader | TlsSide = reader
        self._writer: asyncio.StreamWriter | TlsSide = writer
        self._in_tls = False
        self._streams: dict[int, _Stream] = {}
        self._services: set[asyncio.Task[None]] = set()
        self._token = b""
        self._trusted = not phone.asks_for_key
        self._checksums = True

    async def run(self) -> None:
        """Serves until the host or the phone ends it."""
        try:
            while True:
                header = await self._reader.readexactly(_HEADER.size)
                command, first, second, size, _, magic = _HEADER.unpack(header)
                if magic != int.from_bytes(command, "little") ^ 0xFFFFFFFF or size > 2**20:
                    return
                content = await self._reader.readexactly(size)
                await self._phone.received(_HEADER.size + size)
                await self._handle(command, first, second, content)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.cut()

    def cut(self) -> None:
        """Ends it at once."""
        for service in self._services:
            service.cancel()
        self._writer.transport.abort()

    async def send(self, command: bytes, first: int, second: int, content: bytes = b"") -> None:
        """Sends a packet: garbage, if the phone is to."""
        await self._phone.breath()
        checksum = sum(content) & 0xFFFFFFFF if self._checksums else 0
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        packet = _HEADER.pack(command, first, second, len(content), checksum, magic) + content
        self._writer.write(os.urandom(len(packet)) if self._phone.takes_garbage() else packet)
        await self._writer.drain()

    async def _handle(self, command: bytes, first: int, second: int, content: bytes) -> None:
        if command == b"CNXN":
            self._checksums = first < _VERSION
            if self._phone.wants_tls and not self._in_tls:
                await self.send(b"STLS", _TLS_VERSION, 0)
                return
            await (self._welcome() if self._trusted else self._challenge())
        elif command == b"STLS":
            await self._start_tls()
        elif command == b"AUTH":
            await self._authorise(first, content)
        elif not self._trusted:
            return
        elif command == b"OPEN":
            await self._open(first, content.rstrip(b"\0").decode())
        elif (stream := self._streams.get(second)) is not None:
            await stream.handle(command, content)

    async def _start_tls(self) -> None:
        """Who shows a known key in TLS is welcome; it is told so unasked."""
        side = TlsSide(*self._connection, self._knows, self._phone.tls_version)
        await side.handshake()
        self._reader = self._writer = side
        self._in_tls = self._trusted = True
        await self._welcome()

    def _knows(self, shown: x509.Certificate) -> bool:
        self._phone.certificates.append(shown)
        return any(android_key(key) == shown.public_key() for key in self._phone.trusted_keys)

    async def _welcome(self) -> None:
        properties = self._phone.properties()
        said = "".join(
            f"ro.product.{name}={properties['ro.product.model']};"
            for name in ("name", "model", "device")
        )
        features = "shell_v2,cmd" if self._phone.state.sdk >= 24 else "cmd"
        banner = f"device::{said}features={features}".encode()
        await self.send(b"CNXN", _VERSION, _MAX_DATA, banner)

    async def _challenge(self) -> None:
        self._token = os.urandom(20)
        await self.send(b"AUTH", _TOKEN, 0, self._token)

    async def _authorise(self, kind: int, content: bytes) -> None:
        if kind == _SIGNATURE:
            self._trusted = any(
                _signed(key, self._token, content) for key in self._phone.trusted_keys
            )
            await (self._welcome() if self._trusted else self._challenge())
        elif kind == _PUBLIC_KEY:
            accepted = await self._phone.ask_owner(content.rstrip(b"\0"))
            if accepted:
                self._trusted = True
                await self._welcome()
            else:
                self.cut()

    async def _open(self, remote: int, service: str) -> None:
        local = len(self._streams) + 1
        stream = _Stream(self, local, remote)
        running = _service(self._phone, stream, service)
        if running is None:
            await self.send(b"CLSE", 0, remote)
            return
        self._streams[local] = stream
        try:
            await self.send(b"OKAY", local, remote)
        except BaseException:
            running.close()
            raise
        task = asyncio.get_running_loop().create_task(running)
        self._services.add(task)
        task.add_done_callback(self._services.discard)


class _Stream:
    """One service's bytes."""

    def __init__(self, session: Session, local: int, remote: int) -> None:
        self._session = session
        self._local = local
        self._remote = remote
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._buffer = bytearray()
        self._free = asyncio.Event()
        self._free.set()
        self._open = True

    async def handle(self, command: bytes, content: bytes) -> None:
        if command == b"WRTE":
            self._incoming.put_nowait(content)
            await self._session.send(b"OKAY", self._local, self._remote)
        elif command == b"OKAY":
            self._free.set()
        elif command == b"CLSE":
            self._open = False
            self._free.set()
            self._incoming.put_nowait(b"")

    async def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = await self._incoming.get()
            if not more:
                raise ConnectionResetError
            self._buffer += more
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece

    async def write(self, content: bytes) -> None:
        for start in range(0, len(content), _PIECE):
            await self._free.wait()
            if not self._open:
                return
            self._free.clear()
            piece = content[start : start + _PIECE]
            await self._session.send(b"WRTE", self._local, self._remote, piece)

    async def close(self) -> None:
        # Like adbd: what was written has been taken before the end is told.
        await self._free.wait()
        await self._session.send(b"CLSE", self._local, self._remote)


def _service(phone: FakePhone, stream: _Stream, service: str) -> Coroutine[None, None, None] | None:
    """What answers the service, None where the phone does not offer it."""
    kind, _, argument = service.partition(":")
    if kind == "sync":
        return FileService(phone, stream).run()
    if kind in {"shell", "exec"}:
        return _run_shell(phone, stream, argument, v2=False)
    if kind.startswith("shell,v2") and phone.state.sdk >= 24:
        return _run_shell(phone, stream, argument, v2=True)
    return None


async def _run_shell(phone: FakePhone, stream: _Stream, command: str, *, v2: bool) -> None:
    async def out(content: bytes) -> None:
        await stream.write(_SHELL_HEADER.pack(_OUTPUT, len(content)) + content if v2 else content)

    async def err(content: bytes) -> None:
        await stream.write(_SHELL_HEADER.pack(_ERRORS, len(content)) + content if v2 else content)

    shell = Shell(phone, phone.processes.new_pid())
    try:
        code = await shell.run(command, Io(BytesIO(), out, err))
    except Exception:  # a program of the test's broke: the phone says no exit code
        await stream.close()
        raise
    if v2:
        await stream.write(_SHELL_HEADER.pack(_EXIT, 1) + bytes([code & 0xFF]))
    await stream.close()


def _signed(key: bytes, token: bytes, signature: bytes) -> bool:
    """Whether the signature of a token was made with this public key (Android's form)."""
    try:
        sha1 = utils.Prehashed(hashes.SHA1())  # noqa: S303 - adb's protocol
        android_key(key).verify(signature, token, padding.PKCS1v15(), sha1)
    except InvalidSignature:
        return False
    return True
