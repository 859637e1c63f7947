"""The libraries that reach USB: the one place where they are loaded.

libusb is a C library. The package libusb-package carries it for most platforms, and the system
may have one; a machine that has neither measures itself and phones over TCP all the same.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from device_agent.errors import AdbMissing


@dataclass(frozen=True)
class UsbLibraries:
    """What talks to phones at USB, loaded and ready."""

    #: libusb's calls and errors
    usb1: ModuleType
    #: adb-shell's bulk transfers
    transport: type[Any]

    @property
    def context(self) -> Any:
        """Return libusb's one context of this process: devices of a closed one are invalid."""
        return self.transport.USB1_CTX


@cache
def usb_libraries() -> UsbLibraries:
    """Return the libraries, loaded once a process.

    Raises:
        AdbMissing: a library is not installed, or libusb cannot start here.
    """
    try:
        import usb1  # noqa: PLC0415 - only machines with phones need it
    except ImportError as error:
        raise _missing(error) from error
    try:
        usb1.loadLibrary(_carried_library())
        # adb-shell opens libusb's context while it is imported.
        from adb_shell.transport.usb_transport import UsbTransport  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise _missing(error) from error
    except usb1.USBError as error:
        raise AdbMissing(f"libusb cannot start ({error}); is /dev/bus/usb there?") from error
    return UsbLibraries(usb1, UsbTransport)


def _carried_library() -> ctypes.CDLL | None:
    """Return the libusb of the package; None leaves the search for the system's to usb1."""
    try:
        import libusb_package  # noqa: PLC0415 - only machines with phones need it
    except ImportError:
        return None
    path = libusb_package.get_library_path()
    # As usb1 opens the library itself: errno tells what a failed call met.
    return None if path is None else ctypes.CDLL(str(path), use_errno=True)


def _missing(error: Exception) -> AdbMissing:
    return AdbMissing(
        "phones at USB need libusb: `pip install libusb-package`, or the system's "
        f"(`apt install libusb-1.0-0`), or use an adb server ({error})"
    )
