"""What the agent asks of a way to a phone or board, whatever lies between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, Protocol

#: `tcp` and `usb`: adb-shell, straight to the phone; `adb-server`: through a running adb server
PhoneWay = Literal["tcp", "usb", "adb-server"]
#: `ssh`: to a Linux board
Way = Literal[PhoneWay, "ssh"]

#: of phones with Wireless debugging, which call themselves by mDNS such as
#: `adb-R58M-x1._adb-tls-connect._tcp`
MDNS_SERVICE = "_adb-tls-connect._tcp"
_MDNS = "._tcp"


def is_network_name(serial: str) -> bool:
    """Whether a device is reached through the network: `HOST:PORT`, `USER@HOST`, or mDNS's name."""
    return ":" in serial or "@" in serial or is_mdns_name(serial)


def is_mdns_name(serial: str) -> bool:
    """Whether it is a name by mDNS, which a phone keeps while its ports change."""
    return serial.rstrip(".").endswith(_MDNS)


@dataclass(frozen=True)
class PhoneRoute:
    """A name of a phone or board, and the way that leads to it."""

    #: what `run --phone`, `run --board` and `doctor` take
    serial: str
    way: Way


@dataclass(frozen=True)
class ShellResult:
    """What a command on the device said, and how it ended."""

    exit_code: int
    #: standard output; both streams, in the order received, where they were merged
    output: str
    #: standard error, empty where the streams were merged
    errors: str = ""


class Transport(Protocol):
    """One device, reached over USB, TCP, an adb server or SSH. Used by one thread at a time."""

    @property
    def serial(self) -> str:
        """Names the device among those that this machine sees."""

    @property
    def way(self) -> Way:
        """What lies between this machine and the device."""

    @property
    def folder(self) -> PurePosixPath:
        """Where the device lets its shell keep files and run programs; known once connected."""

    def shell(self, command: str, *, timeout_s: float, merged: bool = False) -> ShellResult:
        """Runs a command line of the device's shell to its end.

        Args:
            command: already quoted (`shlex.join` quotes for the device's shell too).
            timeout_s: the command's whole time; also how long it may be silent.
            merged: both streams into one, as a terminal would show them.

        Raises:
            TransportLost: the device went away, or said nothing of the end within the time.
        """

    def push(self, content: bytes, path: PurePosixPath, *, mode: int, timeout_s: float) -> None:
        """Writes a file: completely, or not at all under this name.

        Raises:
            DeviceFull: no space is left.
            FileRefused: the device would not write it for another reason.
            TransportLost: the device went away or is too slow.
        """

    def pull(self, path: PurePosixPath, *, timeout_s: float) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is none.
            FileRefused: it may not be read.
            TransportLost: the device went away or is too slow.
        """

    def reconnect(self) -> None:
        """Closes and opens the way again; it is usable when a command has echoed.

        Raises:
            TransportLost: the device does not come back within some seconds.
            Unauthorised: it asks its owner whether to trust this machine.
            KeyNotTrusted: the user's SSH does not lead to it.
        """

    def close(self) -> None:
        """Ends the connection."""
