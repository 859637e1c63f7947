"""Runs what `shell_grammar` parsed, on a fake phone."""

from __future__ import annotations

import asyncio
import posixpath
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING

from tests.phones import shell_grammar as grammar
from tests.phones.shell_builtins import BUILTINS
from tests.phones.shell_io import Break, Call, Exit, Io, Sink, into, printing
from tests.phones.shell_lexer import ShellSyntaxError, Word
from tests.phones.shell_words import Words

if TYPE_CHECKING:
    from tests.phones.fake_phone import FakePhone

NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 137


@dataclass
class Shell:
    """One shell process: its variables and folder."""

    phone: FakePhone
    pid: int
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    name: str = "sh"
    status: int = 0

    async def run(self, script: str, io: Io) -> int:
        """Runs a whole script to its end."""
        try:
            tree = grammar.parse(script)
        except ShellSyntaxError as error:
            await io.err(f"{self.name}: {error}\n".encode())
            return 2
        return await self.to_the_end(tree, io)

    def path(self, name: str) -> str:
        """A path made absolute."""
        return posixpath.normpath(posixpath.join(self.folder, name))

    async def to_the_end(self, tree: grammar.CommandList, io: Io) -> int:
        """Runs it; `exit` ends it."""
        try:
            return await self.sequence(tree, io)
        except Exit as ended:
            return ended.code

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
        return self.status

    def _start(self, pipeline: grammar.Pipeline, io: Io) -> None:
        child = self.child()

        async def run() -> int:
            try:
                return await child.to_the_end(grammar.CommandList([(pipeline, ";")]), io)
            except asyncio.CancelledError:
                return KILLED

        self.phone.processes.start(run(), child)
        self.status = 0

    def child(self) -> Shell:
        """A subshell: it begins with what this one has, and leaves it alone."""
        return replace(self, variables=dict(self.variables))

    async def _pipeline(self, pipeline: grammar.Pipeline, io: Io) -> int:
        stdin = io.stdin
        for command in pipeline.commands[:-1]:
            printed = bytearray()
            await self.child().to_the_end(
                grammar.CommandList([(grammar.Pipeline([command]), ";")]),
                Io(stdin, into(printed), io.err),
            )
            stdin = BytesIO(bytes(printed))
        last = pipeline.commands[-1]
        return await self._command(last, replace(io, stdin=stdin))

    async def _command(self, command: grammar.Command, io: Io) -> int:
        await self.phone.breath()
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
            case grammar.For():
                return await self._for(command, io)
            case grammar.While():
                return await self._while(command, io)

    async def _group(self, command: grammar.Group, io: Io) -> int:
        if command.subshell:
            return await self.child().to_the_end(command.body, io)
        return await self.sequence(command.body, io)

    async def _if(self, command: grammar.If, io: Io) -> int:
        for condition, body in command.branches:
            if await self.sequence(condition, io) == 0:
                return await self.sequence(body, io)
        return await self.sequence(command.otherwise, io) if command.otherwise else 0

    async def _for(self, command: grammar.For, io: Io) -> int:
        code = 0
        for word in command.words:
            for value in await self.words.fields(word, io):
                self.variables[command.name] = value
                try:
                    code = await self._turn(command.body, io)
                except Break:
                    return 0
        return code

    async def _while(self, command: grammar.While, io: Io) -> int:
        code = 0
        while await self.sequence(command.condition, io) == 0:
            try:
                code = await self._turn(command.body, io)
            except Break:
                return 0
        return code

    async def _turn(self, body: grammar.CommandList, io: Io) -> int:
        """One time through a loop: one that never waits must let the other phones answer."""
        await asyncio.sleep(0)
        return await self.sequence(body, io)

    async def _redirected(self, redirects: list[grammar.Redirect], io: Io) -> Io:
        for redirect in redirects:
            target = await self.words.text(redirect.target, io)
            if redirect.operator == ">&":
                wanted = io.out if target == "1" else io.err
                io = printing(io, redirect.descriptor, wanted)
            elif redirect.operator == "<":
                io = replace(io, stdin=BytesIO(self.phone.files.read(self.path(target))))
            else:
                path = self.path(target)
                appended = redirect.operator == ">>"
                self.phone.files.write(path, b"", append=appended)
                sink = self._file_sink(path)
                io = printing(io, redirect.descriptor, sink)
        return io

    def _file_sink(self, path: str) -> Sink:
        async def write(content: bytes) -> None:
            self.phone.files.write(path, content, append=True)

        return write

    async def _simple(self, command: grammar.Simple, io: Io) -> int:
        words = list(command.words)
        assigned: dict[str, str] = {}
        while words and (found := _assignment(words[0])) is not None:
            assigned[found[0]] = await self.words.text(found[1], io)
            words.pop(0)
        fields = [field for word in words for field in await self.words.fields(word, io)]
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
        """Calls a builtin, a program of the phone or a pushed script."""
        name, *args = fields
        self.phone.called(fields)
        if (builtin := BUILTINS.get(name)) is not None:
            return await builtin(self, args, io)
        if "/" in name:
            return await self._file(self.path(name), args, io)
        program = self.phone.programs.get(name)
        if program is None:
            await io.err(f"/system/bin/sh: {name}: inaccessible or not found\n".encode())
            return NOT_FOUND
        return await program(Call(self.phone, self, args, io))

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
            return await self.script(path, io)
        await io.err(f"/system/bin/sh: {path}: not executable: 64-bit ELF file\n".encode())
        return NOT_EXECUTABLE

    async def script(self, path: str, io: Io) -> int:
        """Runs a script of the phone in a shell of its own."""
        text = self.phone.files.read(path).decode(errors="replace")
        child = replace(self.child(), pid=self.phone.processes.new_pid(), name=path)
        with self.phone.processes.as_process(child.pid):
            return await child.run(text, io)

    @property
    def words(self) -> Words:
        """Expands words with this shell's variables."""
        return Words(self)

    async def captured(self, script: str, io: Io) -> str:
        """What a script prints in a subshell, as `$( )` takes it."""
        printed = bytearray()
        self.status = await self.child().to_the_end(
            grammar.parse(script), replace(io, out=into(printed))
        )
        return printed.decode(errors="replace").rstrip("\n")

    def value(self, name: str) -> str:
        """A variable or special parameter, empty where it is not set."""
        special = {"?": str(self.status), "$": str(self.pid)}
        return special.get(name) or self.variables.get(name, "")


def _assignment(word: Word) -> tuple[str, Word] | None:
    name = ""
    for number, part in enumerate(word.parts):
        if part.kind != "literal" or part.quoted:
            return None
        if part.text == "=":
            return (name, Word(word.parts[number + 1 :])) if name.isidentifier() else None
        name += part.text
    return None


def _lasting(pipeline: grammar.Pipeline) -> list[grammar.Redirect] | None:
    """The redirects of an `exec` without a command: they hold for the rest of the script."""
    command = pipeline.commands[0]
    if isinstance(command, grammar.Simple) and [word.plain for word in command.words] == ["exec"]:
        return command.redirects
    return None
