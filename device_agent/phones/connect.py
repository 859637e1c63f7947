"""From the name of a phone or board to a transport."""

from __future__ import annotations

from pathlib import Path

from device_agent.phones.files import QUICK_S
from device_agent.phones.properties import PhoneProperties
from device_agent.phones.systems import system_of
from device_agent.transports import transport_to
from device_agent.transports.adb_server import server_runs
from device_agent.transports.base import Transport, Way, is_mdns_name


def way_to(serial: str) -> Way:
    """How a phone or board of this name is reached unless the user says otherwise.

    An adb server that runs holds the USB phones and those that it found by mDNS, so they are
    reached through it.
    """
    if "@" in serial:
        return "ssh"
    if ":" in serial:
        return "tcp"
    if server_runs():
        return "adb-server"
    return "tcp" if is_mdns_name(serial) else "usb"


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


def phone_properties(transport: Transport) -> PhoneProperties:
    """What the phone says of itself.

    Raises:
        DeviceNotReady: it went away.
    """
    system = system_of(transport)
    return system.read_description(transport.shell(system.describe, timeout_s=QUICK_S).output)
