"""The `device-agent` command."""

from __future__ import annotations

import logging
import sys

import structlog
import typer

from device_agent.commands import devices, doctor, pair, run, runner
from netspec.console import command
from netspec.console.help import wrap_help

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Measures what the profiler asks for, on this machine, on phones and on boards.",
)


@app.callback()
def _common(version: command.Version = False) -> None:  # noqa: ARG001 - ends by itself
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


_FIRST, _THEN = "See what there is", "Measure"

app.command(rich_help_panel=_FIRST, epilog=devices.EXAMPLES)(devices.devices)
app.command(rich_help_panel=_FIRST, epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(rich_help_panel=_FIRST, epilog=pair.EXAMPLES)(pair.pair)
app.command(rich_help_panel=_THEN, epilog=run.RUN_EXAMPLES)(run.run)
app.add_typer(runner.app, name="runner", rich_help_panel=_FIRST)


wrap_help(app)


def main() -> None:
    """Entry point of the console script."""
    command.run(app)
