"""A Markdown extension: formulas become MathML while the site is built.

`` $`x`$ `` in a line and fenced blocks named `math`, which GitHub shows, too. Browsers draw MathML
by themselves, so the site needs no script and fetches nothing.
"""

from __future__ import annotations

import re

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from math_core import LatexToMathML

_INLINE = r"\$`([^`]+)`\$"
_FENCED = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)

#: after the clean-up of white space (30), before fences (25); before backticks (190)
_BEFORE_FENCES, _BEFORE_BACKTICKS = 28, 200


def mathml(formula: str, *, display: bool) -> str:
    """A formula of LaTeX as MathML.

    Raises:
        math_core.LatexError: it cannot be read; the message shows where.
    """
    return LatexToMathML().convert_with_local_state(formula, displaystyle=display)


class _Fenced(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return _FENCED.sub(self._stored, "\n".join(lines)).split("\n")

    def _stored(self, match: re.Match[str]) -> str:
        block = f'<div class="formula">{mathml(match[1], display=True)}</div>'
        return f"\n{self.md.htmlStash.store(block)}\n"


class _Inline(InlineProcessor):
    def handleMatch(  # type: ignore[override]  # noqa: N802 - the library's name
        self, m: re.Match[str], data: str
    ) -> tuple[str, int, int]:
        del data
        return self.md.htmlStash.store(mathml(m[1], display=False)), m.start(0), m.end(0)


class Formulas(Extension):
    """Registers both forms."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the library's name
        """Called by Markdown."""
        md.preprocessors.register(_Fenced(md), "formulas", _BEFORE_FENCES)
        md.inlinePatterns.register(_Inline(_INLINE, md), "formulas", _BEFORE_BACKTICKS)


def makeExtension(**options: object) -> Formulas:  # noqa: N802 - Markdown looks for this name
    """The extension."""
    return Formulas(**options)
