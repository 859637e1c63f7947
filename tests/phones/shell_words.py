"""Expansion of words on a fake phone: variables, commands, arithmetic, fields, file names.

Source: POSIX.1-2017, Shell Command Language, 2.6.
"""

from __future__ import annotations

import ast
import operator
import posixpath
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.phones.shell_io import Io
from tests.phones.shell_lexer import Part, ShellSyntaxError, Word, word_of

if TYPE_CHECKING:
    from tests.phones.shell_run import Shell

_SPLIT = re.compile(r"[ \t\n]+")
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
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
        return self._shell.value(part.text)

    async def _arithmetic(self, text: str, io: Io) -> int:
        expanded = await self.text(word_of(text), io)

        def value(node: ast.expr) -> int:
            if isinstance(node, ast.Constant):
                return int(node.value)  # type: ignore[arg-type]
            if isinstance(node, ast.Name):
                return int(self._shell.value(node.id) or 0)
            if isinstance(node, ast.BinOp):
                return _OPERATORS[type(node.op)](value(node.left), value(node.right))
            raise ShellSyntaxError(f"arithmetic: {expanded}")

        return value(ast.parse(expanded.strip(), mode="eval").body)
