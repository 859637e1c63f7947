"""What programs print, as text that can be sent and stored."""

from __future__ import annotations

_MAX_TEXT = 200


def printed(content: bytes | bytearray) -> str:
    r"""UTF-8 as text; bytes that are none, and NUL, as `\xNN`.

    JSON holds a NUL character, but PostgreSQL's text does not.
    """
    return content.decode("utf-8", errors="backslashreplace").replace("\0", r"\x00")


def one_line(text: object) -> str:
    """Its text with single spaces, for a log or a message of one line."""
    return " ".join(str(text).split())


def clean(text: str) -> str:
    """Printable, single spaces, as long as a target's texts may be on the wire."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return one_line(printable)[:_MAX_TEXT].strip()
