"""`device-agent devices`: what this machine sees, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from device_agent.commands.run import Core
from device_agent.errors import RuntimeMissing
from device_agent.host.device import LocalDevice
from device_agent.host.identity import host_device
from device_agent.host.rapl import describe_rapl
from netspec.console.command import AsJson, print_json
from netspec.console.connection import data_dir
from netspec.protocol import MeasurementProtocol

EXAMPLES = """Examples:

  device-agent devices

  device-agent devices --phone 192.168.1.20:5555   # a phone that listens at TCP, too

  device-agent devices --wifi                      # those with Wireless debugging, too

  device-agent devices --board pi@raspberrypi.local   # a Linux board, too

  device-agent devices --json --core 3"""

#: phones answer within a few tenths of a second
_WIFI_S = 1.5


def devices(
    core: Core = None,
    phone: Annotated[
        list[str] | None,
        typer.Option(
            help="HOST:PORT of a phone that listens at TCP; may be repeated.", show_default=False
        ),
    ] = None,
    wifi: Annotated[
        bool,
        typer.Option(
            "--wifi", help="Look for phones in the network, which have Wireless debugging."
        ),
    ] = False,
    board: Annotated[
        list[str] | None,
        typer.Option(
            help="USER@HOST of a Linux board, or a name of ~/.ssh/config; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what this machine would be measured as, and the phones and boards that it sees.

    Phones at USB and those of a running adb server are found; others are named by --phone, or
    looked for with --wifi. Boards are named by --board.
    """
    # Only this command and those that measure on phones need what reaches them.
    from device_agent.phones.discovery import discover  # noqa: PLC0415

    host, problem = _host(core)
    discovery = discover(phone or (), data_dir(), _WIFI_S if wifi else 0, board or ())
    if as_json:
        document = {
            "host": host.identity if host else None,
            "host_problem": problem,
            "host_energy": describe_rapl(),
            **asdict(discovery),
        }
        print_json(document)
        return
    console = Console()
    if host:
        console.print(_host_table(host))
    else:
        console.print(f"[yellow]This machine:[/] {escape(problem)}", soft_wrap=True)
    if discovery.phones:
        table = Table(
            Column("device", overflow="fold"),
            "model",
            "system",
            "through",
            "state",
            title="Phones and boards" if board else "Phones",
        )
        for listed in discovery.phones:
            ways = ", ".join(
                [listed.way, *(f"{other.way} ({other.serial})" for other in listed.also)]
            )
            state = f"[red]{escape(listed.problem)}[/]" if listed.problem else "[green]ok[/]"
            system = listed.linux or (listed.android and f"Android {listed.android}")
            names = (listed.serial, listed.model, system)
            table.add_row(*map(escape, names), ways, state)
        console.print(table)
    else:
        console.print("No phones are seen.")
    for note in discovery.notes:
        console.print(f"[dim]{escape(note)}[/]", soft_wrap=True)


def _host(core: int | None) -> tuple[LocalDevice | None, str]:
    """This machine, or why it measures nothing: it may be there for its phones alone."""
    try:
        return host_device(MeasurementProtocol(), core), ""
    except RuntimeMissing as error:
        return None, str(error)


def _host_table(device: LocalDevice) -> Table:
    table = Table("", Column(device.serial, overflow="fold"), title="This machine")
    table.add_row("target", device.identity.id)
    for name, value in device.identity.model_dump(mode="json").items():
        table.add_row(name.replace("_", " "), escape(str(value)))
    table.add_row("energy", escape(describe_rapl()))
    return table
