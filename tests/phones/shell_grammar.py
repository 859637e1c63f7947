"""A parser for as much of the shell's language as scripts for phones use.

Grammar: POSIX.1-2017, Shell Command Language, 2.10; without
functions, `case`, `until`, here-documents and aliases, which no script of ours uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.phones.shell_lexer import ShellSyntaxError, Word, tokens


@dataclass
class Redirect:
    """Where a descriptor goes: a file, or another descriptor (`>&`)."""

    descriptor: int
    operator: str
    target: Word


@dataclass
class Simple:
    """Assignments and a command with its arguments."""

    words: list[Word]
    redirects: list[Redirect]


@dataclass
class Group:
    """`{ ...; }` or, in a subshell, `( ... )`."""

    body: CommandList
    subshell: bool
    redirects: list[Redirect]


@dataclass
class For:
    """`for name in words; do ...; done`."""

    name: str
    words: list[Word]
    body: CommandList
    redirects: list[Redirect]


@dataclass
class While:
    """`while conditions; do ...; done`."""

    condition: CommandList
    body: CommandList
    redirects: list[Redirect]


@dataclass
class If:
    """Conditions with their bodies, and `else`."""

    branches: list[tuple[CommandList, CommandList]]
    otherwise: CommandList | None
    redirects: list[Redirect]


Command = Simple | Group | For | While | If


@dataclass
class Pipeline:
    """Commands, each reading what the one before printed."""

    commands: list[Command]


@dataclass
class CommandList:
    """Pipelines, each with the operator that follows it."""

    items: list[tuple[Pipeline, str]] = field(default_factory=list)


def parse(script: str) -> CommandList:
    """A script as a tree.

    Raises:
        ShellSyntaxError: it is none, or uses what this shell lacks.
    """
    parser = _Parser(tokens(script))
    tree = parser.sequence(())
    if parser.peek() is not None:
        raise ShellSyntaxError(f"syntax error: unexpected {parser.peek()!r}")
    return tree


class _Parser:
    def __init__(self, tokens: list[Word | str]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str | None:
        """The next operator or reserved word; another word as its text, or `word`."""
        if self._at >= len(self._tokens):
            return None
        token = self._tokens[self._at]
        return token if isinstance(token, str) else token.plain or "word"

    def sequence(self, ends: tuple[str, ...]) -> CommandList:
        """Pipelines up to one of the ends, which is left."""
        items: list[tuple[Pipeline, str]] = []
        self._newlines()
        while (token := self.peek()) is not None and token not in ends:
            pipeline = self._pipeline()
            operator = self.peek()
            if operator in {"&&", "||", ";", "&", "\n"} and self._is_operator():
                self._at += 1
                items.append((pipeline, ";" if operator == "\n" else str(operator)))
                self._newlines()
            else:
                items.append((pipeline, ";"))
                if self.peek() not in (*ends, None):
                    raise ShellSyntaxError(f"syntax error: unexpected {self.peek()!r}")
        return CommandList(items)

    def _is_operator(self) -> bool:
        return isinstance(self._tokens[self._at], str)

    def _newlines(self) -> None:
        while self.peek() == "\n":
            self._at += 1

    def _take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise ShellSyntaxError(f"syntax error: {wanted!r} expected, not {self.peek()!r}")
        self._at += 1

    def _word(self) -> Word:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if not isinstance(token, Word):
            raise ShellSyntaxError(f"syntax error: a word expected, not {token!r}")
        self._at += 1
        return token

    def _pipeline(self) -> Pipeline:
        commands = [self._command()]
        while self.peek() == "|":
            self._at += 1
            self._newlines()
            commands.append(self._command())
        return Pipeline(commands)

    def _command(self) -> Command:
        readers: dict[str, Callable[[], Command]] = {
            "(": self._subshell,
            "{": self._braces,
            "for": self._for,
            "while": self._while,
            "if": self._if,
        }
        return readers.get(self.peek() or "", self._simple)()

    def _simple(self) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if isinstance(token, Word):
                words.append(self._word())
            elif (redirect := self._redirect()) is not None:
                redirects.append(redirect)
            else:
                break
        if not words and not redirects:
            raise ShellSyntaxError(f"syntax error: unexpected {self.peek()!r}")
        return Simple(words, redirects)

    def _redirect(self) -> Redirect | None:
        token = self.peek()
        descriptor: int | None = None
        if token in {"fd0", "fd1", "fd2"} and self._is_operator():
            descriptor = int(token[2])
            self._at += 1
            token = self.peek()
        if token not in {"<", ">", ">>", ">&", "<&"}:
            return None
        self._at += 1
        usual = 0 if token.startswith("<") else 1
        return Redirect(usual if descriptor is None else descriptor, token, self._word())

    def _redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        while self._at < len(self._tokens) and self._is_operator():
            redirect = self._redirect()
            if redirect is None:
                break
            found.append(redirect)
        return found

    def _subshell(self) -> Group:
        self._take("(")
        body = self.sequence((")",))
        self._take(")")
        return Group(body, subshell=True, redirects=self._redirects())

    def _braces(self) -> Group:
        self._take("{")
        body = self.sequence(("}",))
        self._take("}")
        return Group(body, subshell=False, redirects=self._redirects())

    def _for(self) -> For:
        self._take("for")
        name = self._word().plain or ""
        self._take("in")
        words: list[Word] = []
        while self.peek() not in {";", "\n", None}:
            words.append(self._word())
        if self.peek() == ";":
            self._at += 1
        return For(name, words, self._do(), self._redirects())

    def _do(self) -> CommandList:
        self._newlines()
        self._take("do")
        body = self.sequence(("done",))
        self._take("done")
        return body

    def _while(self) -> While:
        self._take("while")
        condition = self.sequence(("do",))
        return While(condition, self._do(), self._redirects())

    def _if(self) -> If:
        branches: list[tuple[CommandList, CommandList]] = []
        otherwise = None
        while self.peek() in {"if", "elif"}:
            self._at += 1
            condition = self.sequence(("then",))
            self._take("then")
            branches.append((condition, self.sequence(("elif", "else", "fi"))))
        if self.peek() == "else":
            self._at += 1
            otherwise = self.sequence(("fi",))
        self._take("fi")
        return If(branches, otherwise, self._redirects())
