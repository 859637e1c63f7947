"""The page of commands: every command, argument and option of the three programs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

import device_agent.cli
import profiler_server.cli
import search_client.cli
from scripts.site.markdown import code, page, table

APPS = {
    "profiler-server": profiler_server.cli.app,
    "device-agent": device_agent.cli.app,
    "search-client": search_client.cli.app,
}

#: in a command's help or its epilog; shell lines follow, to the end
_HEADING = re.compile(r"^Examples?:", re.MULTILINE)

_INTRODUCTION = """\
`--help` shows what follows in the terminal. Exit codes:

- 0: it did what was asked; `profiler-server serve` and `device-agent run` also after Ctrl-C or
  SIGTERM.
- 1: `device-agent doctor` found something that keeps the phone from being measured.
- 2, and one line on stderr that says what: a person has to change something. So ends
  `search-client verify` of a file that strays.
- 3, and one line on stderr: what was found is not to be relied on. No network of the space reaches
  the latency, or `search-client validate` finds too many networks outside the stated interval.
- 4, and one line on stderr: the numbers of a search, training or finetuning were not finite, at
  smaller learning rates, too.
- 130, and one line on stderr: Ctrl-C ended it; a search, training or demo that SIGTERM ended, too,
  and the line says how to go on."""


def command_page() -> str:
    """`docs/reference/commands.md`."""
    parts = [_INTRODUCTION]
    for name, app in APPS.items():
        group = typer.main.get_group(app)
        parts += [f"## {name}", group.help or ""]
        for path, command in commands_of(group, (name,)):
            parts += [f"### {' '.join(path)}", *_command(path, command)]
    return page("Commands", "the three programs", parts)


def commands_of(
    group: TyperGroup, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, (*path, name))
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield (*path, name), command


def _command(path: tuple[str, ...], command: TyperCommand) -> Iterator[str]:
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    options = [one for one in command.params if isinstance(one, TyperOption) and not one.hidden]
    shown = " ".join(_usage(argument) for argument in arguments)
    yield "```text\n" + " ".join([*path, "[OPTIONS]", shown]).strip() + "\n```"
    yield _about(command)
    if arguments:
        rows = [[code(_usage(one)), one.help or "", _default(one)] for one in arguments]
        yield table(["argument", "is", "default"], rows)
    if options:
        context = typer.Context(command)
        rows = [_option(option, context) for option in options]
        yield table(["option", "does", "default"], rows)
    if examples := examples_of(command):
        yield "\n".join(["```sh", *examples, "```"])


def _option(option: TyperOption, context: typer.Context) -> list[str]:
    names = " / ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {code(_value(option, context))}"
    return [names + value, option.help or "", _default(option)]


def _usage(argument: TyperArgument) -> str:
    name = argument.display_name_raw if argument.metavar else argument.display_name_raw.upper()
    return name if argument.required else f"[{name}]"


def _value(option: TyperOption, context: typer.Context) -> str:
    """What stands after the option, for instance `FILE`, `cpu|gpu` or `int 1..64`."""
    if option.metavar:
        return option.metavar
    kind = option.display_type(context).removeprefix("<").removesuffix(">")
    kind = kind.removeprefix("list[").removesuffix("]")
    if option.min is None and option.max is None:
        return kind
    ends = ("" if end is None else f"{end:g}" for end in (option.min, option.max))
    return kind.removesuffix("range") + "..".join(ends)


def _default(parameter: TyperArgument | TyperOption) -> str:
    if parameter.required:
        return "required"
    shown = ""
    if isinstance(parameter.show_default, str):
        shown = parameter.show_default
    elif parameter.default is not None and not callable(parameter.default):
        shown = _written(parameter.default)
    variable = f"{code(parameter.envvar)}, else " if parameter.envvar else ""
    return variable + (code(shown) if shown else "none" if variable else "")


def _written(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else ""
    if isinstance(default, (list, tuple)):
        return " ".join(map(str, default))
    return str(getattr(default, "value", default))


def _about(command: TyperCommand) -> str:
    """A command's help without its examples."""
    return _HEADING.split(command.help or "")[0].strip()


def examples_of(command: TyperCommand) -> list[str]:
    """The shell lines that a command's help gives as examples."""
    for text in (command.help or "", command.epilog or ""):
        if heading := _HEADING.search(text):
            lines = [line for line in text[heading.end() :].splitlines() if line.strip()]
            return textwrap.dedent("\n".join(lines)).strip().splitlines()
    return []
