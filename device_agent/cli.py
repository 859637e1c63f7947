"""The `device-agent` command."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from device_agent.agent import Agent
from device_agent.anchor import AnchorWatch
from device_agent.attempt import Bench
from device_agent.host import host_device, leave_core
from device_agent.link import Link
from device_agent.local_device import LocalDevice
from device_agent.lock import device_lock
from device_agent.model_files import ModelFiles
from device_agent.progress import LogProgress, Progress, TerminalProgress
from device_agent.spool import Spool, spool_path
from device_agent.stop import StopSignal
from netspec import command
from netspec.connection import DEFAULT_URL, URL_VARIABLE, data_dir, load_token
from netspec.profiler_http import ProfilerHttp
from netspec.protocol import MeasurementProtocol

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measures what the profiler asks for, on this machine.",
)

Core = Annotated[
    int | None,
    typer.Option(help="Core to measure on; by default the last one.", show_default=False, min=0),
]

_RUN_EXAMPLES = """[bold]Examples[/]

  device-agent run

  device-agent run --profiler-url https://profiler.example --core 3

  device-agent run --until-idle   (measure what is queued, then end)"""

_DEVICES_EXAMPLES = """[bold]Examples[/]

  device-agent devices

  device-agent devices --json --core 3"""


@app.callback()
def _common() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Looked up at each line: a progress bar puts itself in the way of stderr.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


@app.command(epilog=_RUN_EXAMPLES)
def run(
    profiler_url: Annotated[
        str, typer.Option(envvar=URL_VARIABLE, help="Where the profiler listens.")
    ] = DEFAULT_URL,
    core: Core = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when the profiler has no work left.")
    ] = False,
) -> None:
    """Measure what the profiler asks for until Ctrl-C.

    Ctrl-C or SIGTERM finish the visit in flight, upload and hand the work back; a second one ends
    at once. No visit is lost either way.
    """
    token = load_token()
    protocol = MeasurementProtocol()
    device = host_device(protocol, core)
    folder = data_dir()
    stop = StopSignal()
    with (
        device_lock(folder, device.serial),
        stop.on_signals(),
        Spool(spool_path(folder, profiler_url, device.serial)) as spool,
        ProfilerHttp(profiler_url, token) as http,
    ):
        leave_core(device.core)
        link = Link(http)
        bench = Bench(
            device=device,
            protocol=protocol,
            link=link,
            spool=spool,
            models=ModelFiles(folder / "models", link.model),
            stop=stop,
            progress=_progress(),
            watch=None if protocol.anchor is None else AnchorWatch(protocol.anchor),
        )
        try:
            Agent(bench).run(until_idle=until_idle)
        finally:
            device.close()
            _say_what_is_left(spool)


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


def _progress() -> Progress:
    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_terminal else LogProgress()


def _say_what_is_left(spool: Spool) -> None:
    log = structlog.get_logger()
    if waiting := spool.waiting():
        log.warning("visits wait for the next start", visits=waiting, spool=str(spool.path))
    if refused := spool.refused():
        log.warning("the profiler refused visits", visits=len(refused), spool=str(spool.path))


def main() -> None:
    """Entry point of the console script."""
    command.run(app)
