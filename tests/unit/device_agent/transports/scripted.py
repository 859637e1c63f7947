"""A stream whose bytes are known before."""

from __future__ import annotations

from collections.abc import Iterable


class ScriptedStream:
    """Gives the pieces one by one, then its end; remembers what is written."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.written = bytearray()
        self.closed = False

    def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def write(self, content: bytes) -> None:
        self.written += content

    def close(self) -> None:
        self.closed = True


def cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    """The content in pieces, cut at these places (modulo its size)."""
    at = sorted({place % (len(content) + 1) for place in places})
    return [content[a:b] for a, b in zip([0, *at], [*at, len(content)], strict=True)]
