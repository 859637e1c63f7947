"""The commands that a fake phone's shell has in itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.phones import shell_grammar as grammar
from tests.phones.shell_io import Exit, Io, Jump, Return

if TYPE_CHECKING:
    from tests.phones.shell_run import Shell

Builtin = Callable[["Shell", list[str], Io], Awaitable[int]]


async def _exit(shell: Shell, args: list[str], io: Io) -> int:
    del io
    raise Exit(int(args[0]) if args else shell.status)


async def _return(shell: Shell, args: list[str], io: Io) -> int:
    del io
    raise Return(int(args[0]) if args else shell.status)


async def _break(shell: Shell, args: list[str], io: Io) -> int:
    del shell, io
    raise Jump(again=False, depth=int(args[0]) if args else 1)


async def _continue(shell: Shell, args: list[str], io: Io) -> int:
    del shell, io
    raise Jump(again=True, depth=int(args[0]) if args else 1)


async def _cd(shell: Shell, args: list[str], io: Io) -> int:
    path = shell.path(args[0] if args else "/")
    node = shell.phone.files.find(path)
    if node is None or node.content is not None:
        await io.err(f"{shell.name}: cd: {path}: No such file or directory\n".encode())
        return 2
    shell.folder = path
    return 0


async def _export(shell: Shell, args: list[str], io: Io) -> int:
    del io
    for arg in args:
        name, equals, value = arg.partition("=")
        if equals:
            shell.variables[name] = value
    return 0


async def _unset(shell: Shell, args: list[str], io: Io) -> int:
    del io
    for name in args:
        shell.variables.pop(name, None)
    return 0


async def _set(shell: Shell, args: list[str], io: Io) -> int:
    del io
    for number, arg in enumerate(args):
        if arg == "--":
            shell.args = args[number + 1 :]
            break
        if arg.startswith(("-", "+")) and "e" in arg:
            shell.errexit = arg[0] == "-"
    return 0


async def _shift(shell: Shell, args: list[str], io: Io) -> int:
    del io
    shell.args = shell.args[int(args[0]) if args else 1 :]
    return 0


async def _eval(shell: Shell, args: list[str], io: Io) -> int:
    return await shell.sequence(grammar.parse(" ".join(args)), io)


async def _source(shell: Shell, args: list[str], io: Io) -> int:
    text = shell.phone.files.read(shell.path(args[0])).decode()
    return await shell.sequence(grammar.parse(text), io)


async def _exec(shell: Shell, args: list[str], io: Io) -> int:
    if not args:
        return 0
    raise Exit(await shell.call(args, io))


async def _trap(shell: Shell, args: list[str], io: Io) -> int:
    del io
    action, *names = args
    for name in names:
        wanted = {"0": "EXIT", "15": "TERM", "2": "INT", "1": "HUP"}.get(name, name)
        shell.traps[wanted] = "" if action == "-" else action
    return 0


async def _wait(shell: Shell, args: list[str], io: Io) -> int:
    del io
    code = 0
    for pid in [int(arg) for arg in args] or shell.phone.processes.pids():
        code = await shell.phone.processes.wait(pid)
    return code


async def _command(shell: Shell, args: list[str], io: Io) -> int:
    if args[:1] != ["-v"]:
        return await shell.call(args, io)
    name = args[1]
    if name in shell.functions or name in BUILTINS:
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


async def _true(shell: Shell, args: list[str], io: Io) -> int:
    del shell, args, io
    return 0


BUILTINS: dict[str, Builtin] = {
    "exit": _exit,
    "return": _return,
    "break": _break,
    "continue": _continue,
    "cd": _cd,
    "export": _export,
    "local": _export,
    "readonly": _export,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "eval": _eval,
    ".": _source,
    "exec": _exec,
    "trap": _trap,
    "wait": _wait,
    "read": _read,
    "command": _command,
    ":": _true,
    "umask": _true,
}
