"""`device-agent doctor`: can this phone or board be measured, and if not, what is to be done?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from device_agent.benchmark_model.program import Program, read_program, with_libraries
from device_agent.commands.runner import Lock, store
from device_agent.errors import DeviceNotReady, Unauthorised
from device_agent.phones.examination import Examination
from device_agent.phones.properties import own_number
from device_agent.phones.systems import system_of
from device_agent.phones.systems.base import Check
from device_agent.processes.lock import device_lock, file_name, phone_lock
from device_agent.transports.base import Transport, Way
from netspec.console.command import AsJson, print_json
from netspec.console.connection import data_dir
from netspec.console.units import latency_text
from netspec.protocol import Delegate

EXAMPLES = """Examples:

  device-agent doctor R58M12345AB

  device-agent doctor 192.168.1.20:5555 --runner ./benchmark_model --json

  device-agent doctor R58M12345AB --delegate gpu

  device-agent doctor pi@raspberrypi.local   # a Linux board, over SSH"""

_MARKS = {"ok": "[green]ok  [/]", "warning": "[yellow]warn[/]", "bad": "[red]bad [/]"}
_BAD = 1
_ANSWER_S = 5.0
#: before a phone whose owner has not said yes is asked again, s
_AGAIN_AFTER_S = 0.5


def doctor(
    serial: Annotated[
        str,
        typer.Argument(
            help="The phone: what `devices` lists it as, the beginning of that, or HOST:PORT; or a "
            "Linux board: USER@HOST, or with --way ssh a name of ~/.ssh/config."
        ),
    ],
    way: Annotated[Way | None, typer.Option(help="How to reach it.", show_default=False)] = None,
    runner: Annotated[
        Path | None, typer.Option(help="benchmark_model for it; else the fetched one.")
    ] = None,
    library: Annotated[
        list[Path] | None,
        typer.Option(help="Shared library that it loads; may be repeated.", show_default=False),
    ] = None,
    lock: Lock = None,
    delegate: Annotated[Delegate, typer.Option(help="Who is to run models there.")] = "xnnpack",
    runner_flag: Annotated[
        list[str] | None,
        typer.Option(help="Flag of the runner as NAME=VALUE; may be repeated.", show_default=False),
    ] = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for its owner to trust this machine.", min=0)
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Check everything that measuring on a phone or board needs, and say what to fix.

    Ends with exit code 1 if something keeps the device from being measured; warnings do not.
    Nothing that is tried on it stays changed.
    """
    # The commands that have nothing to do with phones start faster without.
    from device_agent.phones.connect import way_to  # noqa: PLC0415
    from device_agent.phones.discovery import whole_serial  # noqa: PLC0415
    from device_agent.transports import transport_to  # noqa: PLC0415

    def program(abis: tuple[str, ...]) -> Program:
        found = store(lock).fetched(abis, delegate) if runner is None else read_program(runner)
        return with_libraries(found, library or ())

    folder = data_dir()
    serial = whole_serial(serial, way)
    console = Console(soft_wrap=True, highlight=False)
    done: list[Check] = []
    with (
        device_lock(folder, file_name(serial)),
        closing(transport_to(serial, way or way_to(serial), folder)) as transport,
    ):
        examination = Examination(transport, program, delegate, runner_flag or ())
        for check in _checks(transport, examination, wait, folder):
            done.append(check)
            if not as_json:
                _print(console, check)
    if as_json:
        print_json(done)
    if any(check.verdict == "bad" for check in done):
        raise typer.Exit(_BAD)


def _checks(
    transport: Transport, examination: Examination, wait_s: float, folder: Path
) -> Iterator[Check]:
    reached, number = _reached(transport, wait_s)
    yield reached
    if reached.verdict == "ok":
        with phone_lock(folder, number):
            yield from examination.checks()


def _reached(transport: Transport, wait_s: float) -> tuple[Check, str]:
    """Whether it can be reached, and the phone's own serial number."""
    deadline = time.monotonic() + wait_s
    asked = False
    while True:
        try:
            transport.reconnect()
            started = time.perf_counter()
            ask = system_of(transport).introduction
            number, *_ = transport.shell(ask, timeout_s=_ANSWER_S).output.splitlines() or [""]
        except Unauthorised as error:
            if time.monotonic() >= deadline:
                found = "the phone does not trust this machine"
                return Check("reachable", "bad", found, str(error)), ""
            if not asked:
                typer.echo(f"{error}; waiting for {wait_s:g} s ...", err=True)
                asked = True
            time.sleep(_AGAIN_AFTER_S)
        except DeviceNotReady as error:
            advice = "`device-agent devices` lists what this machine sees, and why not"
            return Check("reachable", "bad", str(error), advice), ""
        else:
            took_ms = (time.perf_counter() - started) * 1000
            found = f"through {transport.way}, {latency_text(took_ms)} a call"
            return Check("reachable", "ok", found), own_number(number)


def _print(console: Console, check: Check) -> None:
    advice = f" -> {escape(check.advice)}" if check.advice else ""
    console.print(f"{_MARKS[check.verdict]} {check.name:12} {escape(check.found)}{advice}")
