"""`device-agent pair`: make a phone with Wireless debugging know this machine, by its code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from device_agent.errors import DeviceNotReady, NoSuchDevice, PairingRefused
from netspec.console.connection import data_dir

EXAMPLES = """Examples:

  device-agent pair 192.168.1.20:37215   # asks for the code that the phone shows

  device-agent pair 192.168.1.20:37215 --code-file -   # reads it from standard input"""

#: for all of it, once the code is there; the phone answers within a second
_PAIR_S = 20.0


def pair(
    address: Annotated[
        str,
        typer.Argument(
            metavar="HOST:PORT",
            help="What `Pair device with pairing code` shows under Wireless debugging.",
        ),
    ],
    code_file: Annotated[
        typer.FileText | None,
        typer.Option(
            help="File with the code in it; - is standard input. By default it is asked for.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Pair with a phone over Wi-Fi (Android 11 and later), for which no adb server is needed.

    The phone knows this machine from then on, until its owner forgets it. It is measured on at the
    address that Wireless debugging itself shows, with another port.
    """
    # Only those who have phones need what reaches them.
    from device_agent.transports import tcp_address  # noqa: PLC0415
    from device_agent.transports.keys import machine_key  # noqa: PLC0415
    from device_agent.transports.pairing import pair_phone  # noqa: PLC0415
    from device_agent.transports.streams import Deadline  # noqa: PLC0415

    if ":" not in address:
        raise NoSuchDevice(
            f"{address!r} has no port; write HOST:PORT as the phone's dialog shows it"
        )
    host, port = tcp_address(address)
    code = _asked() if code_file is None else code_file.read().strip()
    if not code:
        raise PairingRefused("the code is empty; give the one that the phone shows")
    deadline = Deadline(_PAIR_S, f"pairing with {address}")
    try:
        guid = pair_phone(host, port, code, machine_key(data_dir()), deadline)
    except DeviceNotReady as error:
        raise PairingRefused(
            f"{error}; keep the phone's pairing dialog open, and give the address and the code "
            "that it shows"
        ) from error
    typer.echo(f"Paired: {host} calls itself {guid}.")
    typer.echo(
        f"Next: device-agent doctor {host}:PORT, with the port that Wireless debugging itself shows"
    )


def _asked() -> str:
    """The code, typed in unseen: never an argument, which others on this machine could read."""
    if not sys.stdin.isatty():
        raise PairingRefused(
            "the code is asked for at a terminal, and there is none; pass it with --code-file -"
        )
    return str(typer.prompt("Code that the phone shows", hide_input=True)).strip()
