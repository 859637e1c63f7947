"""Programs and libraries by the headers that a phone's kernel looks at."""

from __future__ import annotations

import struct

from tests.phones.shell_io import Call

ARM64, X86_64 = 183, 62


def elf(alignment: int, machine: int = ARM64) -> bytes:
    """A 64-bit file with one loaded part, aligned to pages of so many bytes."""
    header = bytearray(b"\x7fELF\x02\x01\x01".ljust(64, b"\0"))
    struct.pack_into("<H", header, 18, machine)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    return bytes(header) + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, alignment)


async def pages_of_16_kb(call: Call) -> int:
    """The `getconf` of such a phone."""
    await call.out("16384\n" if call.args == ["PAGE_SIZE"] else "")
    return 0
