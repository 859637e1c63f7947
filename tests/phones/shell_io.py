"""What commands on a fake phone read and print, and how the shell's own jumps travel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.phones.fake_phone import FakePhone
    from tests.phones.shell_run import Shell

Sink = Callable[[bytes], Awaitable[None]]


@dataclass
class Io:
    """What a command reads and where it prints."""

    stdin: BytesIO
    out: Sink
    err: Sink


@dataclass
class Call:
    """A command's call, as `FakePhone.programs` see it."""

    phone: FakePhone
    shell: Shell
    args: list[str]
    io: Io

    async def out(self, text: str | bytes) -> None:
        """Prints."""
        await self.io.out(text.encode() if isinstance(text, str) else text)

    async def err(self, text: str) -> None:
        """Prints to standard error."""
        await self.io.err(text.encode())


class Exit(Exception):
    """`exit`."""

    def __init__(self, code: int) -> None:
        self.code = code


class Break(Exception):
    """`break`."""


def printing(io: Io, descriptor: int, sink: Sink) -> Io:
    """With one descriptor's sink replaced."""
    return replace(io, err=sink) if descriptor == 2 else replace(io, out=sink)


def into(buffer: bytearray) -> Sink:
    """Collects what is printed."""

    async def write(content: bytes) -> None:
        buffer.extend(content)

    return write
