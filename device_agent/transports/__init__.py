"""Ways to reach a phone or board: shell, push, pull and reconnect, whatever lies between."""

from __future__ import annotations

from pathlib import Path

from device_agent.errors import NoSuchDevice
from device_agent.transports.base import Transport, Way, is_mdns_name
from netspec.console.extras import needs_extra

_LAST_PORT = 65_535


def transport_to(serial: str, way: Way, folder: Path) -> Transport:
    """A transport that is not connected yet: call `reconnect` first.

    Args:
        serial: `HOST:PORT` or the phone's mDNS name for `tcp`, its USB serial for `usb`, the adb
            server's name of it for `adb-server`, a board's `USER@HOST` for `ssh`.
        way: what is to lie between.
        folder: where this machine's key lies, unless the user has one.

    Raises:
        NoSuchDevice: the address is none.
        AdbMissing: what the way needs is not installed.
        UserError: zeroconf, which finds a phone by its mDNS name, is not installed.
    """
    if way == "ssh":
        from device_agent.transports.ssh import SshTransport  # noqa: PLC0415

        return SshTransport(serial)
    # The libraries are loaded by those who have phones: adbutils alone takes 0.3 s.
    from device_agent.transports.over_streams import StreamTransport  # noqa: PLC0415

    if way == "adb-server":
        from device_agent.transports.adb_server import ServerConnection  # noqa: PLC0415

        return StreamTransport(ServerConnection(serial))
    from device_agent.transports.direct import DirectConnection  # noqa: PLC0415
    from device_agent.transports.keys import machine_key  # noqa: PLC0415

    if way == "usb":
        from device_agent.transports.usb import UsbPipe  # noqa: PLC0415

        return StreamTransport(DirectConnection(serial, way, UsbPipe(serial), machine_key(folder)))
    key = machine_key(folder)
    if is_mdns_name(serial):
        with needs_extra("wifi", "looking for phones in the network"):
            from device_agent.transports.wifi.mdns import MdnsPipe  # noqa: PLC0415

        return StreamTransport(DirectConnection(serial, way, MdnsPipe(serial, key), key))
    from device_agent.transports.wifi.pipe import WifiPipe  # noqa: PLC0415

    pipe = WifiPipe(*tcp_address(serial), key)
    return StreamTransport(DirectConnection(serial, way, pipe, key))


def tcp_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; adb's usual port where none is named.

    Raises:
        NoSuchDevice: it is no address.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "5555"
    if not host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise NoSuchDevice(f"{text!r} is not a phone's address; write HOST:PORT")
    return host.strip("[]"), int(port)
