"""The programs of a fake phone: what they share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.phones.shell_io import Call

Program = Callable[[Call], Awaitable[int]]


def flags_of(args: list[str], valued: str = "") -> tuple[dict[str, str], list[str]]:
    """Options of one letter, those in `valued` with the argument that follows; and the rest."""
    found: dict[str, str] = {}
    rest = list(args)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        for number, letter in enumerate(option[1:], 1):
            if letter in valued:
                found[letter] = option[number + 1 :] or rest.pop(0)
                break
            found[letter] = ""
    return found, rest


def inputs(call: Call, names: list[str]) -> bytes:
    """What a command reads: files, or its standard input."""
    if not names:
        return call.io.stdin.read()
    return b"".join(call.phone.files.read(call.shell.path(name)) for name in names)


def escaped(text: str) -> str:
    """With backslashes taken as echo and printf do."""
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
