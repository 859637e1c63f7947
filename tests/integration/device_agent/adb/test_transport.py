"""What the agent asks of a transport: of fake and real phones, straight and through a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from statistics import median

import pytest

from device_agent.errors import DeviceFull, FileRefused, NoSuchDevice, TransportLost
from device_agent.transports import transport_to
from device_agent.transports.base import ShellResult, Transport, Way
from tests.integration.device_agent.adb.conftest import Peer
from tests.phones.adbd import AdbdPhone
from tests.phones.fake_phone import FakePhone

TMP = PurePosixPath("/data/local/tmp")
MIB = 2**20


def test_commands_say_how_they_ended(transport: Transport) -> None:
    assert transport.shell("echo out; echo err >&2; exit 7", timeout_s=5) == ShellResult(
        7, "out\n", "err\n"
    )
    assert transport.shell("(exit 255)", timeout_s=5).exit_code == 255
    assert transport.shell("true # a comment", timeout_s=5) == ShellResult(0, "", "")
    assert transport.shell("nosuchprogram", timeout_s=5).exit_code == 127


def test_merged_streams_keep_their_order(transport: Transport) -> None:
    said = transport.shell("echo 1; echo 2 >&2; echo 3; exit 4", timeout_s=5, merged=True)
    assert said == ShellResult(4, "1\n2\n3\n", "")


def test_long_and_foreign_output_comes_whole(transport: Transport) -> None:
    transport.push("grün 手机\n".encode() * 50_000, TMP / "text", mode=0o644, timeout_s=10)
    said = transport.shell(f"cat {TMP}/text", timeout_s=10)
    assert said.output == "grün 手机\n" * 50_000


def test_files_come_back_as_they_went(transport: Transport) -> None:
    content = bytes(range(256)) * (8 * MIB // 256)
    transport.push(content, TMP / "deep/er/model", mode=0o755, timeout_s=30)
    assert transport.pull(TMP / "deep/er/model", timeout_s=30) == content
    assert transport.shell(f"stat -c %a {TMP}/deep/er/model", timeout_s=5).output == "755\n"
    transport.push(b"", TMP / "deep/er/model", mode=0o600, timeout_s=5)
    assert transport.pull(TMP / "deep/er/model", timeout_s=5) == b""
    assert transport.shell(f"stat -c %a {TMP}/deep/er/model", timeout_s=5).output == "600\n"
    assert transport.shell(f"ls -a {TMP}/deep/er", timeout_s=5).output.split()[-1:] == ["model"]


def test_names_are_quoted(transport: Transport) -> None:
    path = TMP / "it's a; file"
    transport.push(b"1", path, mode=0o644, timeout_s=5)
    assert transport.pull(path, timeout_s=5) == b"1"


def test_missing_files_are_said_to_be(transport: Transport) -> None:
    with pytest.raises(FileNotFoundError):
        transport.pull(TMP / "nothing", timeout_s=5)
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_what_the_phone_refuses_to_write_is_said(transport: Transport) -> None:
    with pytest.raises(FileRefused, match="refuses to write /proc/nothing/file"):
        transport.push(b"1", PurePosixPath("/proc/nothing/file"), mode=0o644, timeout_s=5)
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_a_folder_is_not_replaced_by_a_file(transport: Transport) -> None:
    transport.shell(f"mkdir {TMP}/folder", timeout_s=5)
    transport.push(b"1", TMP / "folder" / "file", mode=0o644, timeout_s=5)
    assert transport.shell(f"ls -a {TMP}/folder", timeout_s=5).output.split()[-1] == "file"


def test_silence_ends_in_time(transport: Transport) -> None:
    transport.shell("echo warm", timeout_s=5)
    started = time.monotonic()
    with pytest.raises(
        TransportLost, match=r"`wait_for_ever=1; .*` on .* did not end within 0.3 s"
    ):
        transport.shell("wait_for_ever=1; while true; do sleep 0.05; done", timeout_s=0.3)
    assert time.monotonic() - started < 10


def test_a_talkative_command_ends_in_time_too(transport: Transport) -> None:
    with pytest.raises(TransportLost, match=r"did not end within 0\.5 s"):
        transport.shell("while true; do echo on and on; done", timeout_s=0.5)


def test_a_lost_way_stays_lost_until_it_is_opened_again(transport: Transport) -> None:
    with pytest.raises(TransportLost):
        transport.shell("while true; do sleep 0.05; done", timeout_s=0.2)
    with pytest.raises(TransportLost, match="is not connected"):
        transport.shell("echo on", timeout_s=5)
    transport.reconnect()
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_a_phone_that_comes_back_is_usable_again(peer: Peer, transport: Transport) -> None:
    peer.off()
    with pytest.raises(TransportLost):
        transport.shell("echo on", timeout_s=2)
    with pytest.raises(TransportLost):
        transport.reconnect()
    peer.on()
    transport.reconnect()
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_many_small_calls_wait_for_no_timer(transport: Transport, way: Way) -> None:
    took_ms = []
    for _ in range(60):
        started = time.perf_counter()
        transport.shell("echo on", timeout_s=5)
        took_ms.append((time.perf_counter() - started) * 1000)
    # Nagle's algorithm against delayed acknowledgements would cost 40.
    assert median(took_ms) < (30 if way == "tcp" else 60)


def test_a_full_place_is_called_full(
    adbd_phone: AdbdPhone, way: Way, connect: Callable[[str, Way], Transport]
) -> None:
    transport = connect(adbd_phone.address, way)
    transport.push(b"old", PurePosixPath("/small/file"), mode=0o644, timeout_s=5)
    with pytest.raises(DeviceFull, match=r"no space is left on the phone for /small/.*2097152 by"):
        transport.push(bytes(2 * MIB), PurePosixPath("/small/file"), mode=0o644, timeout_s=20)
    assert transport.pull(PurePosixPath("/small/file"), timeout_s=5) == b"old"
    assert transport.shell("ls -A /small", timeout_s=5).output == "file\n"


@pytest.mark.usefixtures("adb_server")
def test_a_phone_that_others_use_through_the_server_is_not_taken_from_them(
    fake_phone: FakePhone, connect: Callable[[str, Way], Transport]
) -> None:
    fake_phone.pace = 1.0
    other = connect(fake_phone.address, "adb-server")
    with ThreadPoolExecutor() as pool:
        said = pool.submit(other.shell, "sleep 1; echo on", timeout_s=5)
        time.sleep(0.3)
        assert connect(fake_phone.address, "adb-server").shell("true", timeout_s=5).exit_code == 0
        assert said.result().output == "on\n"


@pytest.mark.parametrize("address", ["phone:port", "phone:0", "phone:70000", ":5555"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchDevice, match="write HOST:PORT"):
        transport_to(address, "tcp", tmp_path)
