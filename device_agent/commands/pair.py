"""`device-agent pair`: make a phone with Wireless debugging know this machine, by its code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from device_agent.errors import DeviceNotReady, NoSuchDevice, PairingRefused
from device_agent.transports import tcp_address
from device_agent.transports.base import MDNS_SERVICE
from netspec.console.connection import data_dir
from netspec.console.extras import needs_extra

EXAMPLES = """Examples:

  device-agent pair 192.168.1.20:37215   # asks for the code that the phone shows

  device-agent pair                      # with the only phone in the network that shows one

  device-agent pair 192.168.1.20:37215 --code-file -   # reads it from standard input"""

#: for all of it, once the code is there; the phone answers within a second
_PAIR_S = 20.0
#: phones answer within a few tenths of a second
_LOOK_S = 1.5


def pair(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="HOST:PORT",
            help="What `Pair device with pairing code` shows under Wireless debugging; by default "
            "it is looked for in the network.",
            show_default=False,
        ),
    ] = None,
    code_file: Annotated[
        typer.FileText | None,
        typer.Option(
            help="File with the code in it; - is standard input. By default it is asked for.",
            show_default=False,
            errors="replace",
        ),
    ] = None,
) -> None:
    """Pair with a phone over Wi-Fi (Android 11 and later), for which no adb server is needed.

    The phone knows this machine from then on, until its owner forgets it. It is measured on at the
    address that Wireless debugging itself shows, with another port.
    """
    # Only those who have phones need what reaches them.
    from device_agent.transports.keys import machine_key  # noqa: PLC0415
    from device_agent.transports.streams import Deadline  # noqa: PLC0415
    from device_agent.transports.wifi.pairing import pair_phone  # noqa: PLC0415

    try:
        host, port = _shown_dialog() if address is None else _parsed(address)
        code = _asked() if code_file is None else code_file.read().strip()
        if not code:
            raise PairingRefused("the code is empty; give the one that the phone shows")
        deadline = Deadline(_PAIR_S, f"pairing with {host}:{port}")
        guid = pair_phone(host, port, code, machine_key(data_dir()), deadline)
    except DeviceNotReady as error:
        raise PairingRefused(
            f"{error}; keep the phone's pairing dialog open, and give the address and the code "
            "that it shows"
        ) from error
    typer.echo(f"Paired: {host} calls itself {guid}.")
    typer.echo(
        f"Next: device-agent doctor {host}:PORT, with the port that Wireless debugging itself "
        f"shows, or, with the extra `wifi`, device-agent doctor {guid}.{MDNS_SERVICE}"
    )


def _parsed(address: str) -> tuple[str, int]:
    if ":" not in address:
        raise NoSuchDevice(f"{address!r} names no port; write HOST:PORT as the phone shows it")
    return tcp_address(address)


def _shown_dialog() -> tuple[str, int]:
    """Where the only pairing dialog in the network is."""
    with needs_extra("wifi", "looking for phones in the network"):
        from device_agent.transports.wifi.mdns import PAIRING_SERVICE, announced  # noqa: PLC0415

    shown = announced(PAIRING_SERVICE, _LOOK_S)
    if len(shown) != 1:
        found = ", ".join(f"{dialog.host}:{dialog.port}" for dialog in shown) or "none"
        raise PairingRefused(
            f"one pairing dialog is looked for in this network, and there is {found}; open `Pair "
            "device with pairing code` on one phone, or give the address that it shows"
        )
    return shown[0].host, shown[0].port


def _asked() -> str:
    """The code, typed in unseen: never an argument, which others on this machine could read."""
    if not sys.stdin.isatty():
        raise PairingRefused(
            "the code is asked for at a terminal, and there is none; pass it with --code-file -"
        )
    return str(typer.prompt("Code that the phone shows", hide_input=True)).strip()
