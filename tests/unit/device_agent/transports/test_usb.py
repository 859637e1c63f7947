"""USB without a phone: a stand-in for libusb that fails as libusb does."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import libusb_package
import pytest
import usb1

from device_agent.errors import AdbMissing, TransportLost
from device_agent.transports.libusb import usb_libraries
from device_agent.transports.streams import Deadline
from device_agent.transports.usb import UsbPipe, usb_phones

ADB = (0xFF, 0x42, 0x01)


@dataclass
class Handle:
    claims: Exception | None = None
    incoming: list[bytes | Exception] = field(default_factory=list)
    stale: list[bytes | Exception] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    takes: int | None = None
    released: bool = False

    def kernelDriverActive(self, number: int) -> bool:  # noqa: N802
        return number < 0

    def claimInterface(self, number: int) -> None:  # noqa: N802
        if self.claims:
            raise self.claims
        assert number == 1

    def releaseInterface(self, number: int) -> None:  # noqa: N802
        self.released = number == 1

    def close(self) -> None:
        assert self.released

    def bulkRead(self, endpoint: int, size: int, timeout: int) -> bytearray:  # noqa: N802
        assert endpoint == 0x81
        assert timeout > 0
        if timeout <= 20:  # what is left of an earlier connection
            piece = self.stale.pop(0) if self.stale else usb1.USBErrorTimeout()
        else:
            piece = self.incoming.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return bytearray(piece[:size])

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int) -> int:  # noqa: N802
        assert endpoint == 0x01
        assert timeout > 0
        self.sent += data
        return len(data) if self.takes is None else self.takes


@dataclass
class Setting:
    kind: tuple[int, int, int] = ADB

    def getClass(self) -> int:  # noqa: N802
        return self.kind[0]

    def getSubClass(self) -> int:  # noqa: N802
        return self.kind[1]

    def getProtocol(self) -> int:  # noqa: N802
        return self.kind[2]

    def getNumber(self) -> int:  # noqa: N802
        return 1

    def iterEndpoints(self) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(getAddress=lambda: 0x81), SimpleNamespace(getAddress=lambda: 0x01)]


@dataclass
class Device:
    serial: str | Exception = "R58M12345AB"
    handle: Handle = field(default_factory=Handle)
    settings: list[Setting] = field(default_factory=lambda: [Setting((8, 6, 80)), Setting()])

    def getVendorID(self) -> int:  # noqa: N802
        return 0x18D1

    def getProductID(self) -> int:  # noqa: N802
        return 0x4EE7

    def getSerialNumber(self) -> str:  # noqa: N802
        if isinstance(self.serial, Exception):
            raise self.serial
        return self.serial

    def iterSettings(self) -> list[Setting]:  # noqa: N802
        return self.settings

    def open(self) -> Handle:
        return self.handle


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    devices: list[Device] = []
    context = SimpleNamespace(getDeviceIterator=lambda skip_on_error: iter(devices * skip_on_error))
    monkeypatch.setattr(usb_libraries().transport, "USB1_CTX", context)
    return devices


def connected(serial: str = "R58M12345AB") -> UsbPipe:
    pipe = UsbPipe(serial)
    pipe.deadline = Deadline(5, "a test")
    pipe.connect(None)
    return pipe


def test_only_devices_with_adbs_interface_are_phones(plugged: list[Device]) -> None:
    plugged += [Device("DISK", settings=[Setting((8, 6, 80))]), Device()]
    (phone,) = usb_phones()
    assert (phone.serial, phone.kind, phone.problem) == ("R58M12345AB", "18d1:4ee7", "")


def test_missing_permission_names_the_udev_rule(plugged: list[Device]) -> None:
    plugged.append(Device(usb1.USBErrorAccess()))
    (phone,) = usb_phones()
    assert (phone.serial, phone.kind) == (None, "18d1:4ee7")
    assert "may not be opened by this user: install the udev rule" in phone.problem


def test_a_device_that_does_not_answer_is_listed(plugged: list[Device]) -> None:
    plugged.append(Device(usb1.USBErrorIO()))
    (phone,) = usb_phones()
    assert "does not say its serial number" in phone.problem


def test_bytes_go_both_ways(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(incoming=[b"answer"])))
    pipe = connected()
    assert pipe.bulk_write(b"question", None) == 8
    assert pipe.bulk_read(3, None) == b"ans"
    assert plugged[0].handle.sent == b"question"
    pipe.close()
    pipe.close()
    assert plugged[0].handle.released


def test_what_an_earlier_host_left_is_taken_away(plugged: list[Device]) -> None:
    handle = Handle(incoming=[b"answer"], stale=[b"old", b"older"])
    plugged.append(Device(handle=handle))
    assert connected().bulk_read(9, None) == b"answer"
    assert handle.stale == []


def test_a_phone_that_is_unplugged_while_it_is_opened_is_lost(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(stale=[usb1.USBErrorNoDevice()])))
    with pytest.raises(TransportLost, match="the USB connection to R58M12345AB broke"):
        connected()


def test_an_interface_that_a_server_holds_is_said_to_be_held(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(claims=usb1.USBErrorBusy())))
    with pytest.raises(TransportLost, match="another program holds R58M12345AB's USB interface"):
        connected()


def test_a_phone_that_is_not_plugged_in(plugged: list[Device]) -> None:
    plugged.append(Device("OTHER"))
    with pytest.raises(TransportLost, match="no phone R58M12345AB at USB"):
        connected()


def test_a_phone_that_is_unplugged_is_lost(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(incoming=[usb1.USBErrorNoDevice()])))
    with pytest.raises(TransportLost, match="the USB connection to R58M12345AB broke"):
        connected().bulk_read(24, None)


def test_silence_past_the_deadline_names_what_was_asked(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(incoming=[usb1.USBErrorTimeout()])))
    pipe = connected()
    pipe.deadline = Deadline(2, "`echo ok` on R58M12345AB")
    with pytest.raises(TransportLost, match="`echo ok` on R58M12345AB did not end within 2 s"):
        pipe.bulk_read(24, None)


def test_half_a_write_is_a_loss(plugged: list[Device]) -> None:
    plugged.append(Device(handle=Handle(takes=3)))
    with pytest.raises(TransportLost, match="took 3 of 8 bytes"):
        connected().bulk_write(b"question", None)


def test_without_its_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "usb1", None)
    with pytest.raises(AdbMissing, match="`pip install libusb-package`"):
        usb_libraries.__wrapped__()


def test_no_system_library_is_needed() -> None:
    # The kernel names files without symbolic links.
    carried = Path(str(libusb_package.get_library_path())).resolve()
    usb_libraries()
    assert str(carried) in Path("/proc/self/maps").read_text(encoding="utf-8")
