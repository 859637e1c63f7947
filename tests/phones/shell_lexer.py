"""Words and operators of the shell's language, with what is quoted and what is to be expanded.

Source: POSIX.1-2017, Shell Command Language, 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

_OPERATORS = ("&&", "||", ">>", ">&", "<&", ";", "&", "|", "(", ")", "<", ">", "\n")
_BLANKS = " \t"


class ShellSyntaxError(Exception):
    """A script that this shell cannot read."""


@dataclass
class Part:
    """A piece of a word."""

    #: literal, variable, command, arithmetic
    kind: str
    text: str
    quoted: bool


@dataclass
class Word:
    """A word before expansion."""

    parts: list[Part]

    @property
    def plain(self) -> str | None:
        """The text where nothing is quoted or expanded."""
        if all(part.kind == "literal" and not part.quoted for part in self.parts):
            return "".join(part.text for part in self.parts)
        return None


def word_of(text: str) -> Word:
    """A word from the inside of `$((text))`."""
    return _Lexer(text).word(stop="")


def tokens(script: str) -> list[Word | str]:
    """Words, and operators as texts; `fd2` is the descriptor before a redirect."""
    lexer = _Lexer(script)
    found: list[Word | str] = []
    while (token := lexer.token()) is not None:
        found.append(token)
    return found


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def token(self) -> Word | str | None:
        self._skip()
        if self._at >= len(self._text):
            return None
        for operator in _OPERATORS:
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        word = self.word(stop=_BLANKS + "\n;&|()<>")
        following = self._text[self._at : self._at + 1]
        if word.plain in {"0", "1", "2"} and following in {"<", ">"}:
            return f"fd{word.plain}"
        return word

    def word(self, stop: str) -> Word:
        parts: list[Part] = []
        while self._at < len(self._text) and self._text[self._at] not in (stop or "\0"):
            char = self._text[self._at]
            if char == "'":
                end = self._text.find("'", self._at + 1)
                if end < 0:
                    raise ShellSyntaxError("no closing quote")
                parts.append(Part("literal", self._text[self._at + 1 : end], quoted=True))
                self._at = end + 1
            elif char == '"':
                self._at += 1
                parts.append(Part("literal", "", quoted=True))
                self._double_quoted(parts)
            elif char == "\\":
                parts.append(Part("literal", self._text[self._at + 1 : self._at + 2], quoted=True))
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(Part("literal", char, quoted=False))
                self._at += 1
        return Word(parts)

    def _skip(self) -> None:
        while self._at < len(self._text):
            if self._text[self._at] in _BLANKS:
                self._at += 1
            elif self._text.startswith("\\\n", self._at):
                self._at += 2
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _double_quoted(self, parts: list[Part]) -> None:
        while True:
            if self._at >= len(self._text):
                raise ShellSyntaxError("no closing quote")
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "\\", "$", "`"):
                parts.append(Part("literal", self._text[self._at + 1], quoted=True))
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion(quoted=True))
            else:
                parts.append(Part("literal", char, quoted=True))
                self._at += 1

    def _expansion(self, *, quoted: bool) -> Part:
        if self._text[self._at] == "`":
            end = self._text.index("`", self._at + 1)
            inside = self._text[self._at + 1 : end]
            self._at = end + 1
            return Part("command", inside, quoted)
        rest = self._text[self._at + 1 :]
        if rest.startswith("(("):
            inside = self._enclosed(self._at + 2, "(", ")")
            self._at += len(inside) + 4 - 1
            return Part("arithmetic", inside[:-1].removeprefix("("), quoted)
        for opening, closing, kind in (("(", ")", "command"), ("{", "}", "variable")):
            if rest.startswith(opening):
                inside = self._enclosed(self._at + 2, opening, closing)
                self._at += len(inside) + 3
                return Part(kind, inside, quoted)
        name = _name_at(rest)
        self._at += 1 + len(name)
        return Part("variable", name, quoted) if name else Part("literal", "$", quoted)

    def _enclosed(self, start: int, opening: str, closing: str) -> str:
        depth, at, quote = 1, start, ""
        while at < len(self._text):
            char = self._text[at]
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if not depth:
                    return self._text[start:at]
            at += 1
        raise ShellSyntaxError(f"no closing {closing}")


def _name_at(text: str) -> str:
    if text[:1] in tuple("?$"):
        return text[:1]
    size = 0
    while size < len(text) and (text[size].isalnum() or text[size] == "_"):
        size += 1
    return text[:size]
