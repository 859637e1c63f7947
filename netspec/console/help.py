"""Help texts that fit the terminal: paragraphs wrap as one, types are short, examples last."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

#: `<list[Path]>`, `<int range>`
_LONG_TYPE = re.compile(r"^<(?:list\[)?(Path|str|int|float)(?:\]| range)?>$")
_EXAMPLES = re.compile(r"(?:^|\n\n)Examples?:", re.MULTILINE)


def joined_paragraphs(text: str) -> str:
    """Join the lines of each paragraph; one with indented lines, such as examples, stays."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        paragraph if "\n " in paragraph else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )


def with_examples_apart(text: str) -> tuple[str, str]:
    """Split a help text into what it says and its examples, which are to stand at the end."""
    said, *examples = _EXAMPLES.split(text, maxsplit=1)
    lines = [line.strip() for part in examples for line in part.splitlines() if line.strip()]
    if len(lines) < 2:  # noqa: PLR2004 - a list
        return said, f"Example: {lines[0]}" if lines else ""
    return said, "\n".join(["Examples:", *lines])


class HelpCommand(TyperCommand):
    """A command whose docstring is wrapped at the terminal's width, not where its source was.

    Examples stand at the end, a line each, be they the docstring's or the epilog's.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        text = f"{inspect.cleandoc(self.help or '')}\n\n{self.epilog or ''}"
        said, self.epilog = with_examples_apart(text)
        self.help = joined_paragraphs(said)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _with_short_types(super().get_params(ctx), ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage; what is not optional has no braces."""
        return [re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]


class HelpGroup(TyperGroup):
    """The same for a program, and a group of its commands."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _, self.epilog = with_examples_apart(f"\n\n{self.epilog or ''}")

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _with_short_types(super().get_params(ctx), ctx)


def _with_short_types(parameters: list[Any], context: Any) -> list[Any]:
    """Leave the text of an option the room that its type took: none for a flag, one for a list."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
        elif parameter.metavar is None:
            is_option = isinstance(parameter, TyperOption)
            shown = parameter.display_type(context) if is_option else parameter.name.upper()
            parameter.metavar = _LONG_TYPE.sub(lambda type_: f"<{type_[1].lower()}>", shown)
    return parameters


def wrap_help(app: typer.Typer) -> None:
    """Give every command of a program, those of its groups included, such a help text."""
    app.info.cls = HelpGroup
    for registered in app.registered_commands:
        registered.cls = HelpCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            wrap_help(group.typer_instance)
