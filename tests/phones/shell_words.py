"""Expansion of words on a fake phone: variables, commands, arithmetic, fields, file names.

Source: POSIX.1-2017, Shell Command Language, 2.6.
"""

from __future__ import annotations

import ast
import fnmatch
import operator
import posixpath
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.phones.shell_io import Exit, Io
from tests.phones.shell_lexer import Part, ShellSyntaxError, Word, word_of

if TYPE_CHECKING:
    from tests.phones.shell_run import Shell

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


class Words:
    """Expands words for a shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def fields(self, word: Word, io: Io) -> list[str]:
        """A word expanded, split and matched against files."""
        found: list[str] = []
        current: str | None = None
        pattern = False
        for part in word.parts:
            text = await self._part(part, io)
            if part.kind == "variable" and part.text == "@" and part.quoted:
                if self._shell.args:
                    first, *rest = self._shell.args
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
        absolute = self._shell.phone.files.matches(self._shell.path(pattern))
        if pattern.startswith("/"):
            return absolute
        return [posixpath.relpath(path, self._shell.folder) for path in absolute]

    async def text(self, word: Word, io: Io) -> str:
        """A word expanded to one text."""
        return "".join([await self._part(part, io) for part in word.parts])

    async def _part(self, part: Part, io: Io) -> str:
        if part.kind == "literal":
            return part.text
        if part.kind == "command":
            return await self._shell.captured(part.text, io)
        if part.kind == "arithmetic":
            return str(await self._arithmetic(part.text, io))
        return await self._variable(part.text, io)

    async def _variable(self, text: str, io: Io) -> str:
        if text.startswith("#") and len(text) > 1:
            return str(len(self._shell.value(text[1:]) or ""))
        modified = _MODIFIED.fullmatch(text)
        if modified is None:
            return self._shell.value(text) or ""
        name, how, rest = modified.groups()
        value = self._shell.value(name)
        if how[0] in "#%":
            pattern = await self.text(word_of(rest), io)
            return _stripped(value or "", how, pattern)
        missing = value is None or (how.startswith(":") and not value)
        if how[-1] == "+":
            return "" if missing else await self.text(word_of(rest), io)
        if not missing:
            return value or ""
        other = await self.text(word_of(rest), io)
        if how[-1] == "=":
            self._shell.variables[name] = other
        if how[-1] == "?":
            await io.err(f"{self._shell.name}: {name}: {other}\n".encode())
            raise Exit(1)
        return other

    async def _arithmetic(self, text: str, io: Io) -> int:
        expanded = await self.text(word_of(text), io)

        def value(node: ast.expr) -> int:
            if isinstance(node, ast.Constant):
                return int(node.value)  # type: ignore[arg-type]
            if isinstance(node, ast.Name):
                return int(self._shell.value(node.id) or 0)
            if isinstance(node, ast.BinOp):
                return _OPERATORS[type(node.op)](value(node.left), value(node.right))
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                return -value(node.operand)
            if isinstance(node, ast.Compare):
                return int(
                    _COMPARISONS[type(node.ops[0])](value(node.left), value(node.comparators[0]))
                )
            raise ShellSyntaxError(f"arithmetic: {expanded}")

        return value(ast.parse(expanded.strip() or "0", mode="eval").body)


def _stripped(value: str, how: str, pattern: str) -> str:
    sizes = range(len(value) + 1)
    order = sizes if len(how) == 1 else reversed(sizes)
    for size in order:
        if how[0] == "#" and fnmatch.fnmatchcase(value[:size], pattern):
            return value[size:]
        if how[0] == "%" and fnmatch.fnmatchcase(value[len(value) - size :], pattern):
            return value[: len(value) - size]
    return value
