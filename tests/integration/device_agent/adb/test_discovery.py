"""What `device-agent devices` lists, from real commands of the protocol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_agent.cli import app
from device_agent.commands import devices
from device_agent.errors import AdbMissing, NoSuchDevice, RuntimeMissing, Unauthorised
from device_agent.phones import discovery
from device_agent.phones.discovery import ListedPhone, PluggedPhones, discover, whole_serial
from device_agent.transports import transport_to
from device_agent.transports.adb_server import PORT_VARIABLE
from device_agent.transports.base import PhoneRoute
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE
from netspec.errors import UnknownId
from tests.integration.device_agent.adb.conftest import impatient
from tests.phones.adbd import AdbdPhone
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.state import PhoneState


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "usb_phones", list)
    monkeypatch.setenv(PORT_VARIABLE, "1")
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))


def test_phones_at_addresses_are_asked_who_they_are(
    fake_phones: FakePhones, adbd_phone: AdbdPhone, tmp_path: Path
) -> None:
    one = fake_phones.add(PhoneState(serial="ONE", model="Pixel 4"))
    silent = fake_phones.add(PhoneState(serial="TWO"))
    silent.freeze()
    gone = fake_phones.add(PhoneState(serial="THREE"))
    gone.lose_power()
    addresses = [one.address, silent.address, gone.address, adbd_phone.address]
    found = discover(addresses, tmp_path)
    assert found.phones[0] == ListedPhone(one.address, "tcp", "ONE", "Pixel 4", "12")
    assert "did not end within 5 s" in found.phones[1].problem
    assert "no answer at" in found.phones[2].problem
    assert found.phones[3].model == "Pixel Test"
    assert "listed by `device-agent devices --wifi`" in found.notes[0]


def test_an_untrusting_phone_is_listed_with_what_to_do(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.show_dialog()
    with impatient():
        (phone,) = discover([fake_phone.address], tmp_path).phones
    assert "unlock the phone and confirm `Allow USB debugging?`" in phone.problem


@pytest.mark.usefixtures("adb_server")
def test_a_phone_of_the_server_is_listed_once(fake_phones: FakePhones, tmp_path: Path) -> None:
    shared = fake_phones.add(PhoneState(serial="SHARED"))
    transport_to(shared.address, "adb-server", tmp_path).reconnect()
    found = discover([shared.address], tmp_path)
    mine = [phone for phone in found.phones if phone.number == "SHARED"]
    assert [(phone.serial, phone.way, phone.also) for phone in mine] == [
        (shared.address, "tcp", (PhoneRoute(shared.address, "adb-server"),))
    ]
    assert found.notes == ()
    shared.lose_power()
    listed = {phone.serial: phone for phone in discover([], tmp_path).phones}
    if shared.address in listed:  # until the server has dropped it
        assert listed[shared.address].problem


@pytest.mark.usefixtures("adb_server")
def test_what_the_server_says_of_a_phone_is_explained(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.show_dialog()
    with impatient(), pytest.raises(Unauthorised, match="does not trust the adb server"):
        transport_to(fake_phone.address, "adb-server", tmp_path).reconnect()
    listed = {phone.serial: phone for phone in discover([], tmp_path).phones}
    assert "does not trust the adb server: unlock it" in listed[fake_phone.address].problem


def test_states_of_the_server_are_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    states = {
        "A": "offline",
        "B": "no permissions (missing udev rules? user is in the plugdev group)",
        "C": "recovery",
        "D": "strange",
    }
    monkeypatch.setattr(discovery, "server_runs", lambda: True)
    monkeypatch.setattr(discovery, "server_phones", lambda _: list(states.items()))
    problems = [phone.problem for phone in discover([], tmp_path).phones]
    assert [problem.split(":")[0] for problem in problems] == [
        "is offline",
        "may not be opened by this user",
        "is in recovery",
        "is in the state strange, in which it cannot be measured",
    ]


def test_usable_phones_are_taken_and_the_others_trouble_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"A": "device", "B": "unauthorized"}
    monkeypatch.setattr(discovery, "server_runs", lambda: True)
    monkeypatch.setattr(discovery, "server_phones", lambda _: list(states.items()))
    monkeypatch.setattr(discovery, "usb_phones", list)
    look = PluggedPhones(None)
    assert look() == look() == [PhoneRoute("A", "adb-server")]
    assert "".join(capsys.readouterr()).count("does not trust the adb server: unlock it") == 1
    assert PluggedPhones("usb")() == []
    assert "no phone to measure on" in "".join(capsys.readouterr())
    states["B"] = "device"
    assert [phone.serial for phone in look()] == ["A", "B"]


def test_the_beginning_of_a_serial_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [("R58M1", "device"), ("R58M12", "offline"), ("R60", "device")]
    monkeypatch.setattr(discovery, "server_runs", lambda: True)
    monkeypatch.setattr(discovery, "server_phones", lambda _: listed)
    for given in ("R6", "R60"):
        assert whole_serial(given, None) == "R60"
    assert whole_serial("R58M1", None) == "R58M1"
    for as_given in ("R7", "10.0.0.1:5555"):
        assert whole_serial(as_given, None) == as_given
    assert whole_serial("R6", "usb") == "R6"
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    for command in (["doctor", "R58"], ["run", "--phone", "R58"]):
        said = CliRunner().invoke(app, command).exception
        assert isinstance(said, UnknownId)
        assert str(said) == "2 phones begin with 'R58': R58M1, R58M12; type more of the id"


def test_until_idle_without_phones_is_an_error_that_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "server_runs", lambda: False)
    monkeypatch.setattr(discovery, "usb_phones", list)
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    said = CliRunner().invoke(app, ["run", "--phone", "all", "--until-idle"])
    assert isinstance(said.exception, NoSuchDevice)
    assert "`device-agent devices` says" in str(said.exception)


def test_a_missing_libusb_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing() -> list[object]:
        raise AdbMissing("phones at USB need libusb")

    monkeypatch.setattr(discovery, "usb_phones", missing)
    assert "USB is not looked at: phones at USB need libusb" in discover([], tmp_path).notes


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchDevice, match="write HOST:PORT"):
        discover(["phone:"], tmp_path)


def test_the_command_prints_host_and_phones(fake_phone: FakePhone) -> None:
    said = CliRunner().invoke(app, ["devices", "--phone", fake_phone.address])
    assert said.exit_code == 0
    assert "ai-edge-litert" in said.output
    assert fake_phone.address in said.output.replace("\n", "")
    printed = CliRunner().invoke(app, ["devices", "--json", "--phone", fake_phone.address]).output
    seen = json.loads(printed)
    assert seen["host"]["delegate"] == "xnnpack"
    assert [(phone["number"], phone["problem"]) for phone in seen["phones"]] == [("FAKE0000", "")]


def test_a_machine_that_is_there_for_its_phones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise RuntimeMissing("ai-edge-litert is not installed")

    monkeypatch.setattr(devices, "host_device", missing)
    seen = json.loads(CliRunner().invoke(app, ["devices", "--json"]).output)
    assert (seen["host"], seen["host_problem"]) == (None, "ai-edge-litert is not installed")
    said = CliRunner().invoke(app, ["devices"])
    assert "This machine: ai-edge-litert is not installed" in said.output
    assert "No phones are seen." in said.output


def test_twins_of_one_factory_number_are_two_phones_and_one_phone_at_two_addresses_is_one(
    fake_phones: FakePhones, tmp_path: Path
) -> None:
    twins = [fake_phones.add(PhoneState(serial="R58TWIN")) for _ in range(2)]
    again = twins[0].address.replace("127.0.0.1", "localhost")
    found = discover([*(twin.address for twin in twins), again], tmp_path)
    assert [phone.serial for phone in found.phones] == [twin.address for twin in twins]
    assert [other.serial for other in found.phones[0].also] == [again]
