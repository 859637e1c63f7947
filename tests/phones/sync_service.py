"""The `sync:` service of a fake phone's daemon: files to and from it.

Source: `SYNC.TXT` of Android's adb.
"""

from __future__ import annotations

import stat
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.phones.fake_phone import FakePhone

_PIECE = 64 * 1024
_SYNC = struct.Struct("<4sI")
_REGULAR = struct.Struct("<4sIII")
_ENTRY = struct.Struct("<4sIIII")


class Stream(Protocol):
    """The bytes of one service."""

    async def exactly(self, size: int) -> bytes: ...

    async def write(self, content: bytes) -> None: ...

    async def close(self) -> None: ...


class FileService:
    """The `sync:` service."""

    def __init__(self, phone: FakePhone, stream: Stream) -> None:
        self._phone = phone
        self._stream = stream

    async def run(self) -> None:
        answers = {
            b"SEND": self._send,
            b"RECV": self._receive,
            b"STAT": self._stat,
            b"LIST": self._list,
        }
        while True:
            try:
                kind, size = _SYNC.unpack(await self._stream.exactly(_SYNC.size))
                if kind not in answers:
                    break
                await answers[kind]((await self._stream.exactly(size)).decode())
            except ConnectionResetError:
                break
        await self._stream.close()

    async def _send(self, request: str) -> None:
        path, _, mode = request.rpartition(",")
        reason = ""
        try:
            self._phone.files.make_folder(path.rpartition("/")[0], parents=True)
            self._phone.files.write(path, b"", mode=stat.S_IMODE(int(mode)))
        except OSError as error:
            reason = f"couldn't create file: {error.strerror}"
        while True:
            kind, size = _SYNC.unpack(await self._stream.exactly(_SYNC.size))
            if kind == b"DONE":
                break
            piece = await self._stream.exactly(size)
            if not reason:
                try:
                    self._phone.files.write(path, piece, append=True)
                except OSError as error:
                    reason = f"write failed: {error.strerror}"
        if reason:
            if (node := self._phone.files.nodes.get(path)) is not None and node.content is not None:
                self._phone.files.remove(path)
            await self._fail(reason)
        else:
            await self._stream.write(_SYNC.pack(b"OKAY", 0))

    async def _receive(self, path: str) -> None:
        try:
            content = self._phone.files.read(path)
        except OSError as error:
            await self._fail(f"failed to open file '{path}': {error.strerror}")
            return
        for start in range(0, len(content), _PIECE):
            piece = content[start : start + _PIECE]
            await self._stream.write(_SYNC.pack(b"DATA", len(piece)) + piece)
        await self._stream.write(_SYNC.pack(b"DONE", 0))

    async def _stat(self, path: str) -> None:
        node = self._phone.files.find(path)
        said = (node.mode, node.size, int(node.changed_s)) if node else (0, 0, 0)
        await self._stream.write(_REGULAR.pack(b"STAT", *said))

    async def _list(self, path: str) -> None:
        folder = self._phone.files.find(path)
        names = self._phone.files.names(path) if folder and folder.content is None else []
        for name in names:
            node = self._phone.files.get(f"{path.rstrip('/')}/{name}")
            encoded = name.encode()
            entry = (node.mode, node.size, int(node.changed_s), len(encoded))
            await self._stream.write(_ENTRY.pack(b"DENT", *entry) + encoded)
        await self._stream.write(_ENTRY.pack(b"DONE", 0, 0, 0, 0))

    async def _fail(self, reason: str) -> None:
        await self._stream.write(_SYNC.pack(b"FAIL", len(reason.encode())) + reason.encode())
