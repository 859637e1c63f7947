"""Files to and from the device through the `sync:` service.

Source: `SYNC.TXT` of Android's adb. A request is an id of four letters, a length (4 bytes, little
endian) and as many bytes.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from pathlib import PurePosixPath

from device_agent.errors import DeviceFull, FileRefused, TransportLost
from device_agent.transports.streams import Reader, Stream

SERVICE = "sync:"

_HEADER = struct.Struct("<4sI")
#: bytes; larger ones break the protocol
_MAX_PIECE = 64 * 1024
_NO_SPACE = os.strerror(errno.ENOSPC)
_NO_FILE = os.strerror(errno.ENOENT)


def send_file(
    stream: Stream, content: bytes, path: PurePosixPath, mode: int, final: PurePosixPath
) -> None:
    """Writes a file.

    Args:
        stream: to the service.
        content: of the file.
        path: where it is written.
        mode: permission bits.
        final: the name that it is to have in the end, for messages.

    Raises:
        DeviceFull: no space is left.
        FileRefused: the device would not write it for another reason.
        TransportLost: the way broke.
    """
    name = f"{path},{stat.S_IFREG | mode}".encode()
    stream.write(_HEADER.pack(b"SEND", len(name)) + name)
    for start in range(0, len(content), _MAX_PIECE):
        piece = content[start : start + _MAX_PIECE]
        stream.write(_HEADER.pack(b"DATA", len(piece)) + piece)
    # The length of DONE is the time of last change.
    stream.write(_HEADER.pack(b"DONE", int(time.time())))
    reader = Reader(stream)
    kind, length = _header(reader)
    if kind == b"OKAY":
        return
    if kind != b"FAIL":
        raise _garbage(kind)
    reason = _reason(reader, length)
    if _NO_SPACE in reason:
        raise DeviceFull(
            f"no space is left on the phone for {final} ({len(content)} bytes): {reason}; "
            "delete files from /data/local/tmp"
        )
    raise FileRefused(f"the phone refuses to write {final}: {reason}")


def receive_file(stream: Stream, path: PurePosixPath) -> bytes:
    """A file's bytes.

    Raises:
        FileNotFoundError: there is none.
        FileRefused: it may not be read.
        TransportLost: the way broke.
    """
    name = str(path).encode()
    stream.write(_HEADER.pack(b"RECV", len(name)) + name)
    reader = Reader(stream)
    content = bytearray()
    while True:
        kind, length = _header(reader)
        if kind == b"DATA" and length <= _MAX_PIECE:
            content += reader.exactly(length)
        elif kind == b"DONE":
            return bytes(content)
        elif kind == b"FAIL":
            reason = _reason(reader, length)
            if _NO_FILE in reason:
                raise FileNotFoundError(errno.ENOENT, "no such file on the phone", str(path))
            raise FileRefused(f"the phone refuses to read {path}: {reason}")
        else:
            raise _garbage(kind)


def quit_service(stream: Stream) -> None:
    """Tells the service that no further request comes."""
    stream.write(_HEADER.pack(b"QUIT", 0))


def _header(reader: Reader) -> tuple[bytes, int]:
    kind, length = _HEADER.unpack(reader.exactly(_HEADER.size))
    return kind, length


def _reason(reader: Reader, length: int) -> str:
    return reader.exactly(min(length, _MAX_PIECE)).decode("utf-8", errors="backslashreplace")


def _garbage(kind: bytes) -> TransportLost:
    return TransportLost(f"the phone answered garbage to a file transfer ({kind!r})")
