"""Phones that tell their network where they are; the other side is zeroconf's own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_agent.cli import app
from device_agent.errors import PairingRefused, TransportLost
from device_agent.phones import connect as connecting
from device_agent.phones.connect import way_to
from device_agent.phones.discovery import ListedPhone, discover
from device_agent.transports import transport_to
from device_agent.transports.adb_server import PORT_VARIABLE
from device_agent.transports.keys import machine_key
from device_agent.transports.wifi import mdns
from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.errors import UserError
from tests.phones.adb_server import bundled_adb, running_server
from tests.phones.announcing import announcing
from tests.phones.debian_adbd import CannotHave
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.pairing_dialog import PairingDialog
from tests.phones.state import PhoneState
from tests.waiting import wait_for

NAME = "adb-MDNS7-a1B2c3._adb-tls-connect._tcp"
#: mDNS on one machine takes milliseconds; other phones of the tests' network are left aside
LOOK_S = 1.0


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORT_VARIABLE, "1")
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))


@pytest.fixture
def phone(fake_phones: FakePhones, tmp_path: Path) -> FakePhone:
    """A phone that is paired with this machine, and does not say where it is."""
    phone = fake_phones.add(PhoneState(serial="MDNS7"))
    phone.wants_tls = True
    phone.trusted_keys.append(machine_key(tmp_path).GetPublicKey())
    return phone


def listed(folder: Path, *addresses: str) -> list[ListedPhone]:
    phones = discover(addresses, folder, LOOK_S).phones
    return [phone for phone in phones if "MDNS7" in phone.number + phone.serial]


def test_a_phone_that_says_where_it_is_is_listed(phone: FakePhone, tmp_path: Path) -> None:
    with announcing(NAME, phone.port):
        (found,) = listed(tmp_path)
        assert (found.serial, found.way, found.number) == (NAME, "tcp", "MDNS7")
        assert found.problem == ""
        # The same phone by its address: one phone.
        (found,) = listed(tmp_path, phone.address)
        assert {found.serial, *(other.serial for other in found.also)} == {NAME, phone.address}
        assert discover([], tmp_path).phones == ()
    assert listed(tmp_path) == []


def test_one_that_is_not_paired_says_to_pair(phone: FakePhone, tmp_path: Path) -> None:
    phone.trusted_keys.clear()
    with announcing(NAME, phone.port):
        (found,) = listed(tmp_path)
    assert "is not paired with this machine" in found.problem


def test_the_name_stays_while_the_port_changes(
    phone: FakePhone, fake_phones: FakePhones, tmp_path: Path
) -> None:
    with closing(transport_to(NAME, "tcp", tmp_path)) as transport:
        with announcing(NAME, phone.port):
            transport.reconnect()
            assert transport.shell("getprop ro.serialno", timeout_s=5).output == "MDNS7\n"
        other = fake_phones.add(PhoneState(serial="OTHER"))
        with announcing(NAME, other.port):
            transport.reconnect()
            assert transport.shell("getprop ro.serialno", timeout_s=5).output == "OTHER\n"


def test_adb_hears_the_same_announcement(phone: FakePhone, tmp_path: Path) -> None:
    try:
        adb = bundled_adb()
    except CannotHave as error:
        pytest.skip(str(error))
    with running_server(tmp_path, adb, hears_mdns=True) as port, announcing(NAME, phone.port):
        own, _, service = NAME.partition(".")
        line = f"{own}\t{service}\t{phone.address}\n"
        ask = [str(adb), "-P", str(port), "mdns", "services"]
        wait_for(lambda: line in subprocess.check_output(ask, text=True), 40)


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    with (
        closing(transport_to("adb-NOBODY-1._adb-tls-connect._tcp", "tcp", tmp_path)) as transport,
        pytest.raises(TransportLost, match=r"no phone in this network calls itself adb-NOBODY-1"),
    ):
        transport.reconnect()


def test_the_only_dialog_in_the_network_is_paired_with(
    phone: FakePhone, fake_phones: FakePhones, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dialogs of other phones in the network of whoever runs the tests are not ours to pair with.
    monkeypatch.setattr(mdns, "PAIRING_SERVICE", "_adb-tls-dialog._tcp")
    phone.trusted_keys.clear()

    def pair() -> object:
        said = CliRunner().invoke(app, ["pair", "--code-file", "-"], input="482109")
        if said.exception is not None:
            raise said.exception
        return said.stdout

    with pytest.raises(PairingRefused, match="and there is none; open `Pair device with"):
        pair()
    with (
        PairingDialog(fake_phones, phone, "482109") as dialog,
        announcing("adb-MDNS7-a._adb-tls-dialog._tcp", dialog.port),
    ):
        assert f"calls itself {dialog.guid}" in str(pair())
        wait_for(lambda: len(phone.trusted_keys) == 1, 5)
        with (
            announcing("adb-MDNS8-a._adb-tls-dialog._tcp", 9),
            pytest.raises(PairingRefused, match=rf"there is 127\.0\.0\.1:{dialog.port}, 127"),
        ):
            pair()


def test_an_adb_server_is_asked_for_what_it_may_have_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert way_to(NAME) == "tcp"
    monkeypatch.setattr(connecting, "server_runs", lambda: True)
    assert way_to(NAME) == "adb-server"


def test_without_zeroconf_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.delitem(sys.modules, "device_agent.transports.wifi.mdns")
    with pytest.raises(UserError, match=r"needs the package zeroconf, .* extra `wifi`"):
        discover([], tmp_path, LOOK_S)
    with pytest.raises(UserError, match=r"extra `wifi`"):
        transport_to(NAME, "tcp", tmp_path)
    assert discover([], tmp_path).phones == ()
