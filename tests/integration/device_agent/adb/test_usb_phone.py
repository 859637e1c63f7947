"""A phone at USB: libusb's calls, answered by a fake phone's socket."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
import usb1

from device_agent.errors import TransportLost, Unauthorised
from device_agent.phones import discovery
from device_agent.phones.discovery import ListedPhone, discover
from device_agent.transports import transport_to
from device_agent.transports.adb_server import PORT_VARIABLE
from device_agent.transports.libusb import usb_libraries
from device_agent.transports.usb import UsbPhone
from tests.integration.device_agent.adb.conftest import impatient
from tests.phones.fake_phone import FakePhone

SERIAL = "R58M12345AB"
MODEL = PurePosixPath("/data/local/tmp/model")


class Cable:
    """The handle of libusb's that the transport opens."""

    def __init__(self, phone: FakePhone) -> None:
        self._socket = socket.create_connection(("127.0.0.1", phone.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def kernelDriverActive(self, number: int) -> bool:  # noqa: N802
        return number < 0

    def claimInterface(self, number: int) -> None:  # noqa: N802
        assert number == 1

    def releaseInterface(self, number: int) -> None:  # noqa: N802
        assert number == 1

    def close(self) -> None:
        self._socket.close()

    def bulkRead(self, endpoint: int, size: int, timeout: int) -> bytes:  # noqa: N802
        assert endpoint == 0x81
        self._socket.settimeout(timeout / 1000)
        try:
            content = self._socket.recv(size)
        except TimeoutError:
            raise usb1.USBErrorTimeout from None
        except OSError:
            raise usb1.USBErrorNoDevice from None
        if not content:
            raise usb1.USBErrorNoDevice
        return content

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int) -> int:  # noqa: N802
        assert endpoint == 0x01
        self._socket.settimeout(timeout / 1000)
        try:
            self._socket.sendall(data)
        except OSError:
            raise usb1.USBErrorNoDevice from None
        return len(data)


@pytest.fixture
def plugged(fake_phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is plugged in: at first the fake phone."""
    setting = SimpleNamespace(
        getClass=lambda: 0xFF,
        getSubClass=lambda: 0x42,
        getProtocol=lambda: 0x01,
        getNumber=lambda: 1,
        iterEndpoints=lambda: [
            SimpleNamespace(getAddress=lambda: 0x81),
            SimpleNamespace(getAddress=lambda: 0x01),
        ],
    )
    device = SimpleNamespace(
        getVendorID=lambda: 0x18D1,
        getProductID=lambda: 0x4EE7,
        getSerialNumber=lambda: SERIAL,
        iterSettings=lambda: [setting],
        open=lambda: Cable(fake_phone),
    )
    devices: list[Any] = [device]
    context = SimpleNamespace(getDeviceIterator=lambda skip_on_error: iter(devices * skip_on_error))
    monkeypatch.setattr(usb_libraries().transport, "USB1_CTX", context)
    monkeypatch.setenv(PORT_VARIABLE, "1")
    return devices


@pytest.mark.usefixtures("plugged")
def test_a_phone_at_usb_does_what_others_do(fake_phone: FakePhone, tmp_path: Path) -> None:
    with closing(transport_to(SERIAL, "usb", tmp_path)) as transport:
        transport.reconnect()
        assert (transport.serial, transport.way) == (SERIAL, "usb")
        said = transport.shell("echo out; echo err >&2; exit 7", timeout_s=5)
        assert (said.exit_code, said.output, said.errors) == (7, "out\n", "err\n")
        content = bytes(range(256)) * 8192
        transport.push(content, MODEL, mode=0o755, timeout_s=10)
        assert transport.pull(MODEL, timeout_s=10) == content
        assert fake_phone.files.read(str(MODEL)) == content


def test_a_phone_that_is_unplugged_and_plugged_in_again(
    plugged: list[Any], fake_phone: FakePhone, tmp_path: Path
) -> None:
    with closing(transport_to(SERIAL, "usb", tmp_path)) as transport:
        transport.reconnect()
        device = plugged.pop()
        fake_phone.lose_power()
        with pytest.raises(TransportLost, match=f"the USB connection to {SERIAL} broke"):
            transport.shell("echo on", timeout_s=2)
        with pytest.raises(TransportLost, match=f"no phone {SERIAL} at USB"):
            transport.reconnect()
        fake_phone.power_on()
        plugged.append(device)
        transport.reconnect()
        assert transport.shell("echo on", timeout_s=5).output == "on\n"


@pytest.mark.usefixtures("plugged")
def test_a_frozen_phone_at_usb_is_lost_in_time(fake_phone: FakePhone, tmp_path: Path) -> None:
    with closing(transport_to(SERIAL, "usb", tmp_path)) as transport:
        transport.reconnect()
        fake_phone.freeze()
        with pytest.raises(TransportLost, match=r"`echo on` on .* did not end within 0\.3 s"):
            transport.shell("echo on", timeout_s=0.3)
        fake_phone.thaw()


@pytest.mark.usefixtures("plugged")
def test_an_untrusting_phone_at_usb(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.show_dialog()
    with (
        closing(transport_to(SERIAL, "usb", tmp_path)) as transport,
        impatient(),
        pytest.raises(Unauthorised, match="unlock the phone and confirm"),
    ):
        transport.reconnect()


@pytest.mark.usefixtures("plugged")
def test_usb_phones_are_found(tmp_path: Path) -> None:
    (phone,) = discover([], tmp_path).phones
    assert phone == ListedPhone(SERIAL, "usb", "FAKE0000", "Pixel Test", "12")


@pytest.mark.usefixtures("plugged")
def test_a_phone_whose_interface_the_server_holds_is_left_to_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(discovery, "server_runs", lambda: True)
    monkeypatch.setattr(discovery, "server_phones", lambda _: [(SERIAL, "offline")])
    (phone,) = discover([], tmp_path).phones
    assert (phone.serial, phone.way) == (SERIAL, "adb-server")
    assert phone.problem.startswith("is offline")


def test_a_phone_without_permission_is_listed_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused = UsbPhone(None, "18d1:4ee7", "no permission: install the udev rule", None, None)
    monkeypatch.setattr(discovery, "usb_phones", lambda: [refused])
    monkeypatch.setenv(PORT_VARIABLE, "1")
    (phone,) = discover([], tmp_path).phones
    assert (phone.serial, phone.problem) == ("18d1:4ee7", "no permission: install the udev rule")
