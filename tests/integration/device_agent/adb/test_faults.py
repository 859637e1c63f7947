"""Each thing that goes wrong with phones: the right error, and all is well afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

import pytest

from device_agent.errors import DeviceFull, DeviceNotReady, TransportLost, Unauthorised
from device_agent.transports import transport_to
from device_agent.transports.base import Transport, Way
from tests.integration.device_agent.adb.conftest import impatient
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.shell_io import Call
from tests.phones.state import PhoneState

TMP = PurePosixPath("/data/local/tmp")
MODEL = TMP / "model"
MIB = 2**20

Connect = Callable[[str, Way], Transport]


@pytest.fixture
def transport(fake_phone: FakePhone, way: Way, connect: Connect) -> Transport:
    return connect(fake_phone.address, way)


def usable_again(transport: Transport, within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            transport.reconnect()
        except DeviceNotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            break
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


@contextmanager
def lost(within_s: float = 3) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(TransportLost) as raised:
        yield
    assert time.monotonic() - started < within_s
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


def test_a_cut_push_leaves_the_old_file(fake_phone: FakePhone, transport: Transport) -> None:
    transport.push(b"old", MODEL, mode=0o644, timeout_s=5)
    fake_phone.drop_after(MIB)
    with lost():
        transport.push(bytes(4 * MIB), MODEL, mode=0o644, timeout_s=3)
    usable_again(transport)
    assert transport.pull(MODEL, timeout_s=5) == b"old"
    transport.push(b"new", MODEL, mode=0o644, timeout_s=5)
    assert transport.pull(MODEL, timeout_s=5) == b"new"
    # Nor does the half that came take up room.
    assert transport.shell(f"ls -a {TMP}", timeout_s=5).output.split() == ["model"]


def test_a_cut_first_push_leaves_no_file(fake_phone: FakePhone, transport: Transport) -> None:
    fake_phone.drop_after(MIB)
    with lost():
        transport.push(bytes(4 * MIB), MODEL, mode=0o644, timeout_s=3)
    usable_again(transport)
    with pytest.raises(FileNotFoundError):
        transport.pull(MODEL, timeout_s=5)


def test_garbage_is_no_answer(fake_phone: FakePhone, transport: Transport) -> None:
    fake_phone.answer_garbage(3)
    with lost():
        transport.shell("echo on", timeout_s=1)
    fake_phone.answer_garbage(0)
    usable_again(transport)


def test_an_end_without_exit_code_is_no_result(fake_phone: FakePhone, transport: Transport) -> None:
    async def broken(call: Call) -> int:
        await call.out("count=50 first=1")
        raise KeyError(call.args)

    fake_phone.programs["broken"] = broken
    with pytest.raises(TransportLost, match="ended its answer halfway"):
        transport.shell("broken", timeout_s=2)
    usable_again(transport)


def test_a_frozen_phone_is_lost_in_time(fake_phone: FakePhone, transport: Transport) -> None:
    fake_phone.freeze()
    with lost(within_s=1.5):
        transport.shell("echo on", timeout_s=0.3)
    with impatient(), lost():
        transport.reconnect()
    fake_phone.thaw()
    usable_again(transport)


def test_a_phone_that_freezes_mid_pull_is_lost(fake_phone: FakePhone, transport: Transport) -> None:
    transport.push(bytes(MIB), MODEL, mode=0o644, timeout_s=5)
    threading.Timer(0.1, fake_phone.freeze).start()
    with lost():
        while True:
            transport.pull(MODEL, timeout_s=0.5)
    fake_phone.thaw()
    usable_again(transport)


def test_a_rebooting_phone_comes_back(fake_phone: FakePhone, transport: Transport) -> None:
    fake_phone.state.fixed_performance = True
    before = transport.shell("cat /proc/sys/kernel/random/boot_id", timeout_s=5).output
    fake_phone.when_called["measure"] = fake_phone.reboot
    with lost(within_s=6):
        transport.shell("measure; sleep 1; while true; do sleep 1; done", timeout_s=5)
    usable_again(transport)
    assert transport.shell("cat /proc/sys/kernel/random/boot_id", timeout_s=5).output != before
    assert not fake_phone.state.fixed_performance


def test_a_phone_without_power_is_gone_until_it_is_back(
    fake_phone: FakePhone, transport: Transport
) -> None:
    fake_phone.lose_power()
    with lost():
        transport.shell("echo on", timeout_s=1)
    with impatient(), lost():
        transport.reconnect()
    fake_phone.power_on()
    usable_again(transport)


def test_a_full_phone_is_called_full(fake_phone: FakePhone, transport: Transport) -> None:
    transport.push(b"old", MODEL, mode=0o644, timeout_s=5)
    fake_phone.fill_disk(free=MIB)
    with pytest.raises(DeviceFull, match=r"no space is left on the phone for .*/model"):
        transport.push(bytes(2 * MIB), MODEL, mode=0o644, timeout_s=10)
    assert transport.pull(MODEL, timeout_s=5) == b"old"
    # What had been written of it is gone.
    assert fake_phone.files.free == MIB
    transport.push(bytes(MIB // 2), MODEL, mode=0o644, timeout_s=10)


def test_a_key_that_is_refused(fake_phone: FakePhone, way: Way, transport: Transport) -> None:
    fake_phone.refuse_key()
    with pytest.raises(DeviceNotReady):
        transport.shell("echo on", timeout_s=1)
    if way == "tcp":
        with impatient(), pytest.raises(Unauthorised, match=r"confirm `Allow USB debugging\?`"):
            transport.reconnect()
    else:  # the server sees a connection that is closed
        with impatient(), pytest.raises(DeviceNotReady):
            transport.reconnect()
    fake_phone.accept_key()
    usable_again(transport)


def test_a_phone_that_shows_the_dialog(fake_phone: FakePhone, way: Way, tmp_path: Path) -> None:
    fake_phone.show_dialog()
    with closing(transport_to(fake_phone.address, way, tmp_path)) as transport:
        with impatient(), pytest.raises(Unauthorised, match=r"unlock the phone and confirm"):
            transport.reconnect()
        assert fake_phone.dialog is not None
        fake_phone.accept_key()
        usable_again(transport)
        assert len(fake_phone.trusted_keys) == 1
    # Next time it knows the key, and nobody is asked.
    with closing(transport_to(fake_phone.address, way, tmp_path)) as again:
        usable_again(again)


def test_the_owner_accepts_while_the_agent_waits(fake_phone: FakePhone, tmp_path: Path) -> None:
    fake_phone.show_dialog()
    with closing(transport_to(fake_phone.address, "tcp", tmp_path)) as transport:
        threading.Timer(0.3, fake_phone.accept_key).start()
        transport.reconnect()
        assert transport.shell("echo on", timeout_s=5).output == "on\n"
        assert b"device-agent@" in fake_phone.trusted_keys[0]


def test_phones_before_android_7_say_how_commands_ended(
    fake_phones: FakePhones, way: Way, connect: Connect
) -> None:
    old = fake_phones.add(PhoneState(sdk=23))
    transport = connect(old.address, way)
    said = transport.shell("echo out; echo err >&2; exit 7", timeout_s=5)
    assert (said.exit_code, said.output, said.errors) == (7, "out\nerr\n", "")
    assert transport.shell("echo no newline at end | tr -d '\\n'", timeout_s=5).output == (
        "no newline at end"
    )
    with lost():
        transport.shell("while true; do sleep 1; done", timeout_s=0.3)


def test_one_process_serves_twenty_phones(fake_phones: FakePhones, tmp_path: Path) -> None:
    phones = [fake_phones.add(PhoneState(serial=f"P{number:02}")) for number in range(20)]
    said: dict[str, str] = {}

    def use(phone: FakePhone) -> None:
        with closing(transport_to(phone.address, "tcp", tmp_path)) as transport:
            transport.reconnect()
            transport.push(phone.state.serial.encode(), MODEL, mode=0o644, timeout_s=10)
            answer = transport.shell(f"getprop ro.serialno; cat {MODEL}", timeout_s=10)
            said[phone.state.serial] = answer.output

    threads = [threading.Thread(target=use, args=(phone,)) for phone in phones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert said == {f"P{number:02}": f"P{number:02}\nP{number:02}" for number in range(20)}
