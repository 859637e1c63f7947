"""The `device-agent` command."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from device_agent import run_command, runner_command
from device_agent.host import host_device
from device_agent.local_device import LocalDevice
from device_agent.run_command import Core
from netspec import command
from netspec.protocol import MeasurementProtocol

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measures what the profiler asks for, on this machine and on phones.",
)

_DEVICES_EXAMPLES = """[bold]Examples[/]

  device-agent devices

  device-agent devices --json --core 3"""


@app.callback()
def _common() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Looked up at each line: a progress bar puts itself in the way of stderr.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


app.command(epilog=run_command.RUN_EXAMPLES)(run_command.run)
app.add_typer(runner_command.app, name="runner")


@app.command(epilog=_DEVICES_EXAMPLES)
def devices(
    core: Core = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what this machine would be measured as."""
    device = host_device(MeasurementProtocol(), core)
    if as_json:
        typer.echo(device.identity.model_dump_json(indent=2))
        return
    Console().print(_table(device))


def _table(device: LocalDevice) -> Table:
    table = Table("", device.serial, title="Devices")
    table.add_row("target", device.identity.id)
    for name, value in device.identity.model_dump(mode="json").items():
        table.add_row(name.replace("_", " "), str(value))
    return table


def main() -> None:
    """Entry point of the console script."""
    command.run(app)
