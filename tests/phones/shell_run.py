"""Runs what `shell_grammar` parsed, on a fake phone."""

from __future__ import annotations

import ast
import asyncio
import fnmatch
import operator
import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING

from tests.phones import shell_grammar as grammar

if TYPE_CHECKING:
    from tests.phones.fake_phone import FakePhone

Sink = Callable[[bytes], Awaitable[None]]

NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 137
_SPLIT = re.compile(r"[ \t\n]+")
_MODIFIED = re.compile(r"(\w+|[?#$!@*])(:?[-=+?]|##?|%%?)(.*)", re.DOTALL)
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: int(a / b),
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_COMPARISONS: dict[type, Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


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


class _Exit(Exception):
    """`exit`."""

    def __init__(self, code: int) -> None:
        self.code = code


class _Return(_Exit):
    """`return`."""


class _Loop(Exception):
    """`break` and `continue`."""

    def __init__(self, *, again: bool, depth: int) -> None:
        self.again = again
        self.depth = depth


@dataclass
class Shell:
    """One shell process: its variables, folder, functions and traps."""

    phone: FakePhone
    pid: int
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    name: str = "sh"
    args: list[str] = field(default_factory=list)
    functions: dict[str, grammar.Command] = field(default_factory=dict)
    traps: dict[str, str] = field(default_factory=dict)
    status: int = 0
    background: int | None = None
    errexit: bool = False

    async def run(self, script: str, io: Io) -> int:
        """Runs a whole script to its end, traps included."""
        try:
            tree = grammar.parse(script)
        except grammar.ShellSyntaxError as error:
            await io.err(f"{self.name}: {error}\n".encode())
            return 2
        try:
            code = await self._to_the_end(tree, io)
        except asyncio.CancelledError:
            await self._trap("TERM", io)
            await self._trap("EXIT", io)
            raise
        await self._trap("EXIT", io)
        return code

    def path(self, name: str) -> str:
        """A path made absolute."""
        return posixpath.normpath(posixpath.join(self.folder, name))

    async def _to_the_end(self, tree: grammar.CommandList, io: Io) -> int:
        try:
            return await self.sequence(tree, io)
        except _Exit as ended:
            return ended.code

    async def _trap(self, name: str, io: Io) -> None:
        if action := self.traps.pop(name, ""):
            await self._to_the_end(grammar.parse(action), io)

    async def sequence(self, tree: grammar.CommandList, io: Io) -> int:
        """Runs pipelines as their operators say; the last one's exit code."""
        skip = False
        for pipeline, following in tree.items:
            if not skip:
                if (redirects := _lasting(pipeline)) is not None:
                    io = await self._redirected(redirects, io)
                    continue
                if following == "&":
                    self._start(pipeline, io)
                    continue
                self.status = await self._pipeline(pipeline, io)
            skip = (following == "&&" and bool(self.status)) or (
                following == "||" and not self.status
            )
            if self.errexit and self.status and following == ";":
                raise _Exit(self.status)
        return self.status

    def _start(self, pipeline: grammar.Pipeline, io: Io) -> None:
        child = self._child()

        async def run() -> int:
            try:
                return await child._to_the_end(grammar.CommandList([(pipeline, ";")]), io)
            except asyncio.CancelledError:
                return KILLED

        self.background = self.phone.processes.start(run(), child)
        self.status = 0

    def _child(self) -> Shell:
        return replace(
            self, variables=dict(self.variables), functions=dict(self.functions), traps={}
        )

    async def _pipeline(self, pipeline: grammar.Pipeline, io: Io) -> int:
        stdin = io.stdin
        for command in pipeline.commands[:-1]:
            printed = bytearray()
            await self._child()._to_the_end(
                grammar.CommandList([(grammar.Pipeline([command], negated=False), ";")]),
                Io(stdin, _into(printed), io.err),
            )
            stdin = BytesIO(bytes(printed))
        last = pipeline.commands[-1]
        code = await self._command(last, replace(io, stdin=stdin))
        return int(not code) if pipeline.negated else code

    async def _command(self, command: grammar.Command, io: Io) -> int:  # noqa: PLR0911 - a kind each
        await self.phone.breath()
        if isinstance(command, grammar.Function):
            self.functions[command.name] = command.body
            return 0
        try:
            io = await self._redirected(command.redirects, io)
        except OSError as error:
            await io.err(f"{self.name}: can't create {error.filename}: {error.strerror}\n".encode())
            return 1
        match command:
            case grammar.Simple():
                return await self._simple(command, io)
            case grammar.Group():
                return await self._group(command, io)
            case grammar.If():
                return await self._if(command, io)
            case grammar.Case():
                return await self._case(command, io)
        return await self._loops(command, io)

    async def _group(self, command: grammar.Group, io: Io) -> int:
        if command.subshell:
            return await self._child()._to_the_end(command.body, io)
        return await self.sequence(command.body, io)

    async def _if(self, command: grammar.If, io: Io) -> int:
        for condition, body in command.branches:
            if await self._tested(condition, io) == 0:
                return await self.sequence(body, io)
        return await self.sequence(command.otherwise, io) if command.otherwise else 0

    async def _tested(self, condition: grammar.CommandList, io: Io) -> int:
        kept, self.errexit = self.errexit, False
        try:
            return await self.sequence(condition, io)
        finally:
            self.errexit = kept

    async def _case(self, command: grammar.Case, io: Io) -> int:
        value = await self.text(command.word, io)
        for patterns, body in command.branches:
            for pattern in patterns:
                if fnmatch.fnmatchcase(value, await self.text(pattern, io)):
                    return await self.sequence(body, io) if body.items else 0
        return 0

    async def _loops(self, command: grammar.For | grammar.Loop, io: Io) -> int:
        code = 0
        items = iter(await self._items(command, io)) if isinstance(command, grammar.For) else None
        while True:
            if isinstance(command, grammar.For):
                assert items is not None
                if (value := next(items, None)) is None:
                    return code
                self.variables[command.name] = value
            elif (await self._tested(command.condition, io) == 0) == command.until:
                return code
            try:
                code = await self.sequence(command.body, io)
            except _Loop as jump:
                if jump.depth > 1:
                    raise _Loop(again=jump.again, depth=jump.depth - 1) from jump
                if not jump.again:
                    return 0
            # A loop that never waits must not keep the other phones from answering.
            await asyncio.sleep(0)

    async def _items(self, command: grammar.For, io: Io) -> list[str]:
        if command.words is None:
            return list(self.args)
        return [field for word in command.words for field in await self.fields(word, io)]

    async def _redirected(self, redirects: list[grammar.Redirect], io: Io) -> Io:
        for redirect in redirects:
            target = await self.text(redirect.target, io)
            if redirect.operator == ">&":
                wanted = io.out if target == "1" else io.err
                io = _printing(io, redirect.descriptor, wanted)
            elif redirect.operator == "<":
                io = replace(io, stdin=BytesIO(self.phone.files.read(self.path(target))))
            else:
                path = self.path(target)
                appended = redirect.operator == ">>"
                self.phone.files.write(path, b"", append=appended)
                sink = self._file_sink(path)
                io = _printing(io, redirect.descriptor, sink)
        return io

    def _file_sink(self, path: str) -> Sink:
        async def write(content: bytes) -> None:
            self.phone.files.write(path, content, append=True)

        return write

    async def _simple(self, command: grammar.Simple, io: Io) -> int:
        words = list(command.words)
        assigned: dict[str, str] = {}
        while words and (found := _assignment(words[0])) is not None:
            assigned[found[0]] = await self.text(found[1], io)
            words.pop(0)
        fields = [field for word in words for field in await self.fields(word, io)]
        if not fields:
            self.variables |= assigned
            return self.status if assigned and self._had_command(command) else 0
        kept = dict(self.variables)
        self.variables |= assigned
        try:
            return await self.call(fields, io)
        except OSError as error:
            name = error.filename or "write error"
            await io.err(f"{fields[0]}: {name}: {error.strerror}\n".encode())
            return 1
        finally:
            for name in assigned:
                self.variables.pop(name, None)
                if name in kept:
                    self.variables[name] = kept[name]

    @staticmethod
    def _had_command(command: grammar.Simple) -> bool:
        return any(part.kind == "command" for word in command.words for part in word.parts)

    async def call(self, fields: list[str], io: Io) -> int:
        """Calls a function, a builtin, a program of the phone or a pushed script."""
        name, *args = fields
        if name in self.functions:
            return await self._function(name, args, io)
        self.phone.called(fields)
        if (builtin := _BUILTINS.get(name)) is not None:
            return await builtin(self, args, io)
        if "/" in name:
            return await self._file(self.path(name), args, io)
        program = self.phone.programs.get(name)
        if program is None:
            await io.err(f"/system/bin/sh: {name}: inaccessible or not found\n".encode())
            return NOT_FOUND
        return await program(Call(self.phone, self, args, io))

    async def _function(self, name: str, args: list[str], io: Io) -> int:
        kept, self.args = self.args, args
        try:
            return await self._command(self.functions[name], io)
        except _Return as ended:
            return ended.code
        finally:
            self.args = kept

    async def _file(self, path: str, args: list[str], io: Io) -> int:
        node = self.phone.files.find(path)
        if node is None or node.content is None:
            await io.err(f"/system/bin/sh: {path}: inaccessible or not found\n".encode())
            return NOT_FOUND
        if not node.mode & 0o111 or (self.phone.files.noexec and path.startswith("/data")):
            await io.err(f"/system/bin/sh: {path}: can't execute: Permission denied\n".encode())
            return NOT_EXECUTABLE
        program = self.phone.programs.get(posixpath.basename(path))
        if program is not None:
            return await program(Call(self.phone, self, args, io))
        if node.content.startswith(b"#!") or node.content.isascii():
            return await self.script(path, args, io)
        await io.err(f"/system/bin/sh: {path}: not executable: 64-bit ELF file\n".encode())
        return NOT_EXECUTABLE

    async def script(self, path: str, args: list[str], io: Io) -> int:
        """Runs a script of the phone in a shell of its own."""
        text = self.phone.files.read(path).decode(errors="replace")
        child = replace(
            self._child(), pid=self.phone.processes.new_pid(), name=path, args=args, functions={}
        )
        child.errexit = False
        with self.phone.processes.as_process(child.pid):
            return await child.run(text, io)

    async def fields(self, word: grammar.Word, io: Io) -> list[str]:
        """A word expanded, split and matched against files."""
        found: list[str] = []
        current: str | None = None
        pattern = False
        for part in word.parts:
            text = await self._part(part, io)
            if part.kind == "variable" and part.text == "@" and part.quoted:
                if self.args:
                    first, *rest = self.args
                    found.append((current or "") + first)
                    found += rest
                    current = found.pop()
                continue
            if part.quoted or part.kind == "literal":
                current = (current or "") + text
                pattern |= not part.quoted and any(char in text for char in "*?[")
                continue
            pieces = _SPLIT.split(text)
            for number, piece in enumerate(pieces):
                if number and current is not None:
                    found.append(current)
                    current = None
                if piece:
                    current = (current or "") + piece
        if current is not None:
            found.append(current)
        if pattern and len(found) == 1 and (files := self._matches(found[0])):
            return files
        return found

    def _matches(self, pattern: str) -> list[str]:
        absolute = self.phone.files.matches(self.path(pattern))
        if pattern.startswith("/"):
            return absolute
        return [posixpath.relpath(path, self.folder) for path in absolute]

    async def text(self, word: grammar.Word, io: Io) -> str:
        """A word expanded to one text."""
        return "".join([await self._part(part, io) for part in word.parts])

    async def _part(self, part: grammar.Part, io: Io) -> str:
        if part.kind == "literal":
            return part.text
        if part.kind == "command":
            printed = bytearray()
            child = self._child()
            self.status = await child._to_the_end(
                grammar.parse(part.text), replace(io, out=_into(printed))
            )
            return printed.decode(errors="replace").rstrip("\n")
        if part.kind == "arithmetic":
            return str(await self._arithmetic(part.text, io))
        return await self._variable(part.text, io)

    def _value(self, name: str) -> str | None:
        if name.isdecimal():
            number = int(name)
            if number == 0:
                return self.name
            return self.args[number - 1] if number <= len(self.args) else None
        special = {
            "?": str(self.status),
            "#": str(len(self.args)),
            "$": str(self.pid),
            "!": str(self.background or ""),
            "@": " ".join(self.args),
            "*": " ".join(self.args),
            "-": "",
        }
        return special[name] if name in special else self.variables.get(name)

    async def _variable(self, text: str, io: Io) -> str:
        if text.startswith("#") and len(text) > 1:
            return str(len(self._value(text[1:]) or ""))
        modified = _MODIFIED.fullmatch(text)
        if modified is None:
            return self._value(text) or ""
        name, how, rest = modified.groups()
        value = self._value(name)
        if how[0] in "#%":
            pattern = await self.text(grammar.word_of(rest), io)
            return _stripped(value or "", how, pattern)
        missing = value is None or (how.startswith(":") and not value)
        if how[-1] == "+":
            return "" if missing else await self.text(grammar.word_of(rest), io)
        if not missing:
            return value or ""
        other = await self.text(grammar.word_of(rest), io)
        if how[-1] == "=":
            self.variables[name] = other
        if how[-1] == "?":
            await io.err(f"{self.name}: {name}: {other}\n".encode())
            raise _Exit(1)
        return other

    async def _arithmetic(self, text: str, io: Io) -> int:
        expanded = await self.text(grammar.word_of(text), io)

        def value(node: ast.expr) -> int:
            if isinstance(node, ast.Constant):
                return int(node.value)  # type: ignore[arg-type]
            if isinstance(node, ast.Name):
                return int(self._value(node.id) or 0)
            if isinstance(node, ast.BinOp):
                return _OPERATORS[type(node.op)](value(node.left), value(node.right))
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                return -value(node.operand)
            if isinstance(node, ast.Compare):
                return int(
                    _COMPARISONS[type(node.ops[0])](value(node.left), value(node.comparators[0]))
                )
            raise grammar.ShellSyntaxError(f"arithmetic: {expanded}")

        return value(ast.parse(expanded.strip() or "0", mode="eval").body)


def _assignment(word: grammar.Word) -> tuple[str, grammar.Word] | None:
    name = ""
    for number, part in enumerate(word.parts):
        if part.kind != "literal" or part.quoted:
            return None
        if part.text == "=":
            return (name, grammar.Word(word.parts[number + 1 :])) if name.isidentifier() else None
        name += part.text
    return None


def _lasting(pipeline: grammar.Pipeline) -> list[grammar.Redirect] | None:
    """The redirects of an `exec` without a command: they hold for the rest of the script."""
    command = pipeline.commands[0]
    if isinstance(command, grammar.Simple) and [word.plain for word in command.words] == ["exec"]:
        return command.redirects
    return None


def _stripped(value: str, how: str, pattern: str) -> str:
    sizes = range(len(value) + 1)
    order = sizes if len(how) == 1 else reversed(sizes)
    for size in order:
        if how[0] == "#" and fnmatch.fnmatchcase(value[:size], pattern):
            return value[size:]
        if how[0] == "%" and fnmatch.fnmatchcase(value[len(value) - size :], pattern):
            return value[: len(value) - size]
    return value


def _printing(io: Io, descriptor: int, sink: Sink) -> Io:
    return replace(io, err=sink) if descriptor == 2 else replace(io, out=sink)


def _into(buffer: bytearray) -> Sink:
    async def write(content: bytes) -> None:
        buffer.extend(content)

    return write


Builtin = Callable[[Shell, list[str], Io], Awaitable[int]]


async def _exit(shell: Shell, args: list[str], io: Io) -> int:
    del io
    raise _Exit(int(args[0]) if args else shell.status)


async def _return(shell: Shell, args: list[str], io: Io) -> int:
    del io
    raise _Return(int(args[0]) if args else shell.status)


async def _break(shell: Shell, args: list[str], io: Io) -> int:
    del shell, io
    raise _Loop(again=False, depth=int(args[0]) if args else 1)


async def _continue(shell: Shell, args: list[str], io: Io) -> int:
    del shell, io
    raise _Loop(again=True, depth=int(args[0]) if args else 1)


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
    raise _Exit(await shell.call(args, io))


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
    if name in shell.functions or name in _BUILTINS:
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


_BUILTINS: dict[str, Builtin] = {
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
