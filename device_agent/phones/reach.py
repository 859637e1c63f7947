"""From a phone's name to a transport, and which phones are plugged in."""

from __future__ import annotations

from pathlib import Path

import structlog

from device_agent.errors import AdbMissing, TransportLost
from device_agent.phones.files import QUICK_S
from device_agent.phones.properties import parse_properties
from device_agent.supervisor import SeenPhone
from device_agent.transports import transport_to
from device_agent.transports.adb_server import server_phones, server_runs
from device_agent.transports.base import Transport, Way
from device_agent.transports.usb import usb_phones

#: of an adb server, for its list
_LIST_S = 5.0
#: of a phone that an adb server can use
_USABLE = "device"

_log = structlog.get_logger()


def way_to(serial: str) -> Way:
    """How a phone of this name is reached unless the user says otherwise.

    An adb server that runs holds the USB phones, so they are reached through it.
    """
    if ":" in serial:
        return "tcp"
    return "adb-server" if server_runs() else "usb"


def reach(serial: str, way: Way | None, folder: Path) -> Transport:
    """A connected transport.

    Raises:
        NoSuchDevice: there is no phone of this name.
        AdbMissing: what the way needs is not installed.
        DeviceNotReady: the phone does not answer, or does not trust this machine.
    """
    transport = transport_to(serial, way or way_to(serial), folder)
    transport.reconnect()
    return transport


def phone_abis(transport: Transport) -> tuple[str, ...]:
    """The ABIs that the phone runs, best first."""
    return parse_properties(transport.shell("getprop", timeout_s=QUICK_S).output).abis


def plugged_in(way: Way | None) -> list[SeenPhone]:
    """The phones that this machine sees now, through the one way or all."""
    found: list[SeenPhone] = []
    try:
        if way in (None, "adb-server") and server_runs():
            listed = server_phones(_LIST_S)
            found += [SeenPhone(name, "adb-server") for name, state in listed if state == _USABLE]
        elif way in (None, "usb"):
            found += [SeenPhone(phone.serial, "usb") for phone in usb_phones() if phone.serial]
    except (TransportLost, AdbMissing) as error:
        _log.warning("phones not listed", why=" ".join(str(error).split()))
    return found
