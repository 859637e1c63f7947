"""Phones at USB, without an adb server.

The libraries are loaded on the first call: a machine without phones needs no libusb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adb_shell.exceptions import UsbReadFailedError, UsbWriteFailedError

from device_agent.errors import AdbMissing, TransportLost
from device_agent.transports.libusb import usb_libraries
from device_agent.transports.pipe import Pipe

#: class, subclass and protocol of adb's USB interface
_ADB = (0xFF, 0x42, 0x01)
NO_PERMISSION = (
    "may not be opened by this user: install the udev rule of docs/agent.md, then unplug the phone "
    "and plug it in again"
)
#: a phone that says nothing for so long has nothing left to say, s
_QUIET_S = 0.02
#: bytes taken at once: what phones send in one transfer at most
_DRAINED = 2**20


@dataclass(frozen=True)
class UsbPhone:
    """A device that offers adb's interface."""

    #: None where it may not be read
    serial: str | None
    #: vendor and product, for a udev rule: `18d1:4ee7`
    kind: str
    #: what keeps it from being opened, empty where nothing is known
    problem: str
    device: Any
    setting: Any


def usb_phones() -> list[UsbPhone]:
    """What is plugged in and offers adb's interface.

    Raises:
        AdbMissing: libusb is not there.
    """
    libraries = usb_libraries()
    try:
        devices = list(libraries.context.getDeviceIterator(skip_on_error=True))
    except libraries.usb1.USBError as error:
        raise AdbMissing(
            f"libusb cannot list USB devices ({error}); is /dev/bus/usb there?"
        ) from error
    return [
        _described(libraries.usb1, device, setting)
        for device in devices
        for setting in device.iterSettings()
        if (setting.getClass(), setting.getSubClass(), setting.getProtocol()) == _ADB
    ]


def _described(usb1: Any, device: Any, setting: Any) -> UsbPhone:
    kind = f"{device.getVendorID():04x}:{device.getProductID():04x}"
    try:
        return UsbPhone(device.getSerialNumber(), kind, "", device, setting)
    except usb1.USBErrorAccess:
        problem = NO_PERMISSION
    except usb1.USBError as error:
        problem = f"does not say its serial number ({error}): plug it in again"
    return UsbPhone(None, kind, problem, device, setting)


class UsbPipe(Pipe):
    """The bulk endpoints of adb's USB interface.

    Args:
        serial: of the phone; it is looked for at each connect, since a phone that was unplugged
            comes back as another device.
    """

    def __init__(self, serial: str) -> None:
        super().__init__()
        self._serial = serial
        self._opened: Any = None

    def connect(self, transport_timeout_s: float | None) -> None:
        """Opens the phone and claims adb's interface."""
        del transport_timeout_s
        self.close()
        libraries = usb_libraries()
        usb1 = libraries.usb1
        phone = next(
            (candidate for candidate in usb_phones() if candidate.serial == self._serial), None
        )
        if phone is None:
            raise TransportLost(
                f"no phone {self._serial} at USB; plug it in, with USB debugging on"
            )
        opened = libraries.transport(phone.device, phone.setting, usb_info=self._serial)
        try:
            opened.connect(self.deadline.remaining_s())
        except usb1.USBErrorBusy as error:
            raise TransportLost(
                f"another program holds {self._serial}'s USB interface, as a running adb server "
                "does; measure through the adb server, or end it with `adb kill-server`"
            ) from error
        except usb1.USBError as error:
            raise TransportLost(f"cannot open {self._serial} at USB: {error}") from error
        self._opened = opened
        self._drain()

    def _drain(self) -> None:
        """Takes away what the phone still has to say to a host that ended abruptly."""
        usb1 = usb_libraries().usb1
        while True:
            try:
                self._opened.bulk_read(_DRAINED, _QUIET_S)
            except UsbReadFailedError as error:
                if isinstance(error.usb_error, usb1.USBErrorTimeout):
                    return
                raise TransportLost(
                    f"the USB connection to {self._serial} broke: {error}"
                ) from error
            self.deadline.remaining_s()

    def close(self) -> None:
        """Lets go of the interface."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Up to `numbytes` bytes, at least one."""
        del transport_timeout_s
        with self._in_time() as (opened, timeout_s):
            return bytes(opened.bulk_read(numbytes, timeout_s))

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Sends all of it."""
        del transport_timeout_s
        with self._in_time() as (opened, timeout_s):
            sent = opened.bulk_write(data, timeout_s)
        if sent != len(data):
            raise TransportLost(f"{self._serial} took {sent} of {len(data)} bytes at USB")
        return len(data)

    @contextmanager
    def _in_time(self) -> Iterator[tuple[Any, float]]:
        if self._opened is None:
            raise TransportLost(f"{self._serial} is not connected")
        # libusb takes 0 ms for "for ever"
        timeout_s = max(self.deadline.remaining_s(), 0.001)
        try:
            yield self._opened, timeout_s
        except (UsbReadFailedError, UsbWriteFailedError) as error:
            if isinstance(error.args[-1], usb_libraries().usb1.USBErrorTimeout):
                raise self.deadline.passed() from error
            raise TransportLost(f"the USB connection to {self._serial} broke: {error}") from error
