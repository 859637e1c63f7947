"""What programs print, as text that can be sent and stored."""

from __future__ import annotations


def printed(said: bytes | bytearray) -> str:
    r"""UTF-8 as text; bytes that are none, and NUL, as `\xNN`.

    JSON holds a NUL character, but PostgreSQL's text does not.
    """
    return said.decode("utf-8", errors="backslashreplace").replace("\0", r"\x00")
