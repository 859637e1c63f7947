"""Phones with Wireless debugging: pairing by a code, and TLS, without an adb server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath

import pytest
from OpenSSL import SSL

from device_agent.errors import PairingRefused, TransportLost, Unauthorised
from device_agent.transports import tcp_address, transport_to
from device_agent.transports.base import Transport, Way
from device_agent.transports.keys import machine_key
from device_agent.transports.streams import Deadline
from device_agent.transports.wifi.pairing import (
    HEADER,
    PEER_INFO,
    PEER_INFO_SIZE,
    SPAKE2_MESSAGE,
    pair_phone,
)
from device_agent.transports.wifi.pipe import STLS_REQUEST
from tests.phones.adbd import AdbdPhone
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.pairing_dialog import PairingDialog
from tests.phones.tls_side import TlsSide
from tests.waiting import wait_for

CODE = "482109"
Connect = Callable[[str, Way], Transport]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def wifi_phone(fake_phone: FakePhone) -> FakePhone:
    """A phone with Wireless debugging, paired with nobody."""
    fake_phone.wants_tls = True
    return fake_phone


@pytest.fixture
def dialog(fake_phones: FakePhones, wifi_phone: FakePhone) -> Iterator[PairingDialog]:
    with PairingDialog(fake_phones, wifi_phone, CODE) as shown:
        yield shown


def paired(dialog: PairingDialog, folder: Path, code: str = CODE) -> str:
    try:
        return pair_phone(*dialog.address, code, machine_key(folder), Deadline(5, "pairing"))
    finally:
        wait_for(lambda: not dialog.busy, 5)


def test_a_paired_phone_is_a_phone_like_any_other(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path, connect: Connect
) -> None:
    assert paired(dialog, tmp_path) == f"adb-{wifi_phone.state.serial}-a1B2c3"
    transport = connect(wifi_phone.address, "tcp")
    assert transport.shell("echo out; exit 7", timeout_s=5).exit_code == 7
    content = bytes(range(256)) * 4096 * 8
    path = PurePosixPath("/data/local/tmp/model")
    transport.push(content, path, mode=0o600, timeout_s=20)
    assert transport.pull(path, timeout_s=20) == content
    transport.reconnect()
    assert transport.shell("echo again", timeout_s=5).output == "again\n"


def test_a_phone_that_does_not_know_this_machine_says_to_pair(
    wifi_phone: FakePhone, tmp_path: Path
) -> None:
    with (
        closing(transport_to(wifi_phone.address, "tcp", tmp_path)) as transport,
        pytest.raises(Unauthorised, match=r"is not paired with this machine .*: open `Pair device"),
    ):
        transport.reconnect()


def test_a_pairing_that_is_forgotten_later(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path, connect: Connect
) -> None:
    paired(dialog, tmp_path)
    transport = connect(wifi_phone.address, "tcp")
    wifi_phone.trusted_keys.clear()
    with pytest.raises(Unauthorised, match="is not paired"):
        transport.reconnect()
    paired(dialog, tmp_path)
    transport.reconnect()


def test_another_code_is_refused_and_nobody_is_trusted(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path
) -> None:
    with pytest.raises(PairingRefused, match=r"shows another code; open its dialog anew"):
        paired(dialog, tmp_path, "482108")
    assert wifi_phone.trusted_keys == []
    paired(dialog, tmp_path)
    assert dialog.refused == 1
    assert len(wifi_phone.trusted_keys) == 1


@pytest.mark.parametrize("kind", [SPAKE2_MESSAGE, PEER_INFO])
def test_a_cut_pairing(dialog: PairingDialog, tmp_path: Path, kind: int) -> None:
    dialog.cut_before = kind
    with pytest.raises(TransportLost, match=r"closed|broke|agree on TLS"):
        paired(dialog, tmp_path)


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (HEADER.pack(2, SPAKE2_MESSAGE, 32) + bytes(32), "version 2 of it"),
        (HEADER.pack(1, PEER_INFO, 32) + bytes(32), "kind 1, where a SPAKE2 message belongs"),
        (HEADER.pack(1, 9, 32) + bytes(32), "kind 9, where a SPAKE2 message belongs"),
        (HEADER.pack(1, SPAKE2_MESSAGE, 0), "packet of 0 bytes; 1 to 16384 are right"),
        (HEADER.pack(1, SPAKE2_MESSAGE, 2**32 - 1), "packet of 4294967295 bytes"),
        (HEADER.pack(1, SPAKE2_MESSAGE, 16384) + bytes(16384), "is no point of edwards25519"),
        (HEADER.pack(1, SPAKE2_MESSAGE, 31) + bytes(31), "is no point of edwards25519"),
    ],
)
def test_strange_packets_are_refused_by_name(
    dialog: PairingDialog, tmp_path: Path, packet: bytes, said: str
) -> None:
    dialog.packet = lambda kind, payload: packet  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(PairingRefused, match=f"does not speak adb's pairing protocol: .*{said}"):
        paired(dialog, tmp_path)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (b"\1adb-x", "6 bytes of kind 01"),
        (bytes(PEER_INFO_SIZE), "8192 bytes of kind 00"),
        (b"", "0 bytes of kind  of itself"),
    ],
)
def test_a_phone_that_says_something_else_of_itself(
    dialog: PairingDialog, tmp_path: Path, info: bytes, said: str
) -> None:
    dialog.peer_info = lambda: info  # type: ignore[method-assign]
    with pytest.raises(PairingRefused, match=f"it says {said}"):
        paired(dialog, tmp_path)


def test_a_phone_that_is_silent(dialog: PairingDialog, tmp_path: Path) -> None:
    dialog.packet = lambda kind, payload: b""  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(TransportLost, match=r"pairing did not end within 0.5 s"):
        pair_phone(*dialog.address, CODE, machine_key(tmp_path), Deadline(0.5, "pairing"))


def test_nobody_there(dialog: PairingDialog, tmp_path: Path) -> None:
    dialog.__exit__()
    with pytest.raises(TransportLost, match=r"no answer at 127\.0\.0\.1"):
        paired(dialog, tmp_path)


def test_tls_before_1_3_is_refused(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path
) -> None:
    wifi_phone.tls_version = SSL.TLS1_2_VERSION
    with pytest.raises(TransportLost, match=r"does not agree on TLS 1\.3"):
        paired(dialog, tmp_path)
    with (
        closing(transport_to(wifi_phone.address, "tcp", tmp_path)) as transport,
        pytest.raises(TransportLost, match=r"does not agree on TLS 1\.3"),
    ):
        transport.reconnect()


def test_the_port_of_wireless_debugging_is_no_pairing_port(
    wifi_phone: FakePhone, tmp_path: Path
) -> None:
    with pytest.raises(TransportLost, match=r"closed|broke|agree on TLS"):
        pair_phone(
            "127.0.0.1", wifi_phone.port, CODE, machine_key(tmp_path), Deadline(5, "pairing")
        )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"does not agree on TLS 1\.3 \(TLS: wrong version number\)"),
        (bytes.fromhex("15030300020100"), "broke: closed by the other side"),  # close_notify
        (b"", "closed|broke"),
    ],
)
def test_what_is_no_dialog_is_told(
    fake_phones: FakePhones, tmp_path: Path, answer: bytes, said: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(50)
        writer.write(answer)
        writer.close()

    with (
        serving(fake_phones, serve) as address,
        pytest.raises(TransportLost, match=said),
    ):
        pair_phone(*tcp_address(address), CODE, machine_key(tmp_path), Deadline(5, "pairing"))


def test_a_connection_that_is_cut_in_tls(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path, connect: Connect
) -> None:
    paired(dialog, tmp_path)
    transport = connect(wifi_phone.address, "tcp")
    wifi_phone.drop_after(100_000)
    with pytest.raises(TransportLost, match=r"closed|broke"):
        transport.push(
            bytes(2**20), PurePosixPath("/data/local/tmp/model"), mode=0o600, timeout_s=5
        )
    transport.reconnect()
    assert transport.shell("echo on", timeout_s=5).output == "on\n"


def test_silence_in_tls_ends_in_time(
    dialog: PairingDialog, wifi_phone: FakePhone, tmp_path: Path, connect: Connect
) -> None:
    paired(dialog, tmp_path)
    transport = connect(wifi_phone.address, "tcp")
    wifi_phone.freeze()
    started = time.monotonic()
    with pytest.raises(TransportLost, match=r"did not end within 0\.3 s"):
        transport.shell("echo on", timeout_s=0.3)
    assert time.monotonic() - started < 2
    wifi_phone.thaw()


def test_the_port_of_the_dialog_is_not_where_phones_are_measured(
    fake_phones: FakePhones, tmp_path: Path
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        # What adbd's BoringSSL says to CNXN in place of a handshake; OpenSSL says nothing.
        writer.write(bytes.fromhex("15030100020246"))
        writer.close()

    with (
        serving(fake_phones, serve) as address,
        closing(transport_to(address, "tcp", tmp_path)) as transport,
        pytest.raises(TransportLost, match="as pairing dialogs do; give the address that"),
    ):
        transport.reconnect()


@pytest.mark.parametrize(
    ("request_size", "said"),
    [
        (0, r"(closed|broke).*, where its greeting should come; if it is not paired with"),
        (5, "asks for TLS with 5 bytes, where none belong"),
    ],
)
def test_a_phone_that_breaks_off_where_it_should_greet(
    fake_phones: FakePhones, tmp_path: Path, request_size: int, said: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        size = request_size.to_bytes(4, "little")
        writer.write(STLS_REQUEST[:12] + size + STLS_REQUEST[16:] + bytes(request_size))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await read_packet(reader)
            await TlsSide(reader, writer, lambda _: True).handshake()
        writer.close()

    with (
        serving(fake_phones, serve) as address,
        closing(transport_to(address, "tcp", tmp_path)) as transport,
        pytest.raises(TransportLost, match=said),
    ):
        transport.reconnect()


@contextmanager
def serving(phones: FakePhones, serve: Serve) -> Iterator[str]:
    """Serves connections in the phones' thread; the address."""
    server = phones.wait(asyncio.start_server(serve, "127.0.0.1", 0))
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    phones.soon(server.close)


async def read_packet(reader: asyncio.StreamReader) -> None:
    header = await reader.readexactly(24)
    await reader.readexactly(int.from_bytes(header[12:16], "little"))


def asking_for_tls(adbd: AdbdPhone) -> Serve:
    """Stands before a real adbd that trusts everybody, and asks for TLS in its place.

    Debian's adbd never asks, but speaks TLS with whoever does.
    """

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while content := await source.read(65536):
                target.write(content)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(STLS_REQUEST)
        from_adbd, to_adbd = await asyncio.open_connection("127.0.0.1", adbd.port)
        await asyncio.gather(copy(reader, to_adbd), copy(from_adbd, writer))

    return serve


def test_a_real_adbd_speaks_tls_with_the_agent(
    adbd_phone: AdbdPhone, fake_phones: FakePhones, connect: Connect
) -> None:
    with serving(fake_phones, asking_for_tls(adbd_phone)) as address:
        transport = connect(address, "tcp")
        assert transport.shell("echo out; exit 7", timeout_s=5).exit_code == 7
        content = bytes(range(256)) * 4096 * 4
        path = PurePosixPath("/data/local/tmp/model")
        transport.push(content, path, mode=0o600, timeout_s=20)
        assert transport.pull(path, timeout_s=20) == content
