"""The commands that a fake phone's shell has in itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.phones.shell_io import Break, Exit, Io

if TYPE_CHECKING:
    from tests.phones.shell_run import Shell

Builtin = Callable[["Shell", list[str], Io], Awaitable[int]]


async def _exit(shell: Shell, args: list[str], io: Io) -> int:
    del io
    raise Exit(int(args[0]) if args else shell.status)


async def _break(shell: Shell, args: list[str], io: Io) -> int:
    del shell, args, io
    raise Break


async def _cd(shell: Shell, args: list[str], io: Io) -> int:
    path = shell.path(args[0] if args else "/")
    node = shell.phone.files.find(path)
    if node is None or node.content is not None:
        await io.err(f"{shell.name}: cd: {path}: No such file or directory\n".encode())
        return 2
    shell.folder = path
    return 0


async def _exec(shell: Shell, args: list[str], io: Io) -> int:
    if not args:
        return 0
    raise Exit(await shell.call(args, io))


async def _command(shell: Shell, args: list[str], io: Io) -> int:
    if args[:1] != ["-v"]:
        return await shell.call(args, io)
    name = args[1]
    if name in BUILTINS:
        await io.out(f"{name}\n".encode())
        return 0
    if name in shell.phone.programs:
        await io.out(f"/system/bin/{name}\n".encode())
        return 0
    return 1


async def _read(shell: Shell, args: list[str], io: Io) -> int:
    names = [arg for arg in args if not arg.startswith("-")] or ["REPLY"]
    line = io.stdin.readline()
    fields = line.decode().rstrip("\n").split(None, len(names) - 1)
    for name, value in zip(names, [*fields, *[""] * len(names)], strict=False):
        shell.variables[name] = value.strip()
    return 0 if line else 1


BUILTINS: dict[str, Builtin] = {
    "exit": _exit,
    "break": _break,
    "cd": _cd,
    "exec": _exec,
    "read": _read,
    "command": _command,
}
