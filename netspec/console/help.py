"""Help texts that fit the terminal: paragraphs wrap as one, and flags show no type."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption


def joined_paragraphs(text: str) -> str:
    """Join the lines of each paragraph; one with indented lines, such as examples, stays."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        paragraph if "\n " in paragraph else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )


class HelpCommand(TyperCommand):
    """A command whose docstring is wrapped at the terminal's width, not where its source was."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.help = joined_paragraphs(self.help or "")

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _without_type_of_flags(super().get_params(ctx))


class HelpGroup(TyperGroup):
    """The same for a program, and a group of its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _without_type_of_flags(super().get_params(ctx))


def _without_type_of_flags(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters


def wrap_help(app: typer.Typer) -> None:
    """Give every command of a program, those of its groups included, such a help text."""
    app.info.cls = HelpGroup
    for registered in app.registered_commands:
        registered.cls = HelpCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            wrap_help(group.typer_instance)
