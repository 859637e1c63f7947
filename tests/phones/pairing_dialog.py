"""`Pair device with pairing code` of a fake phone: the server's side of adb's pairing.

    with PairingDialog(fake_phones, fake_phone, "482109") as dialog:
        pair_phone(*dialog.address, "482109", key, Deadline(5, "pairing"))

A host that knows the code is in `phone.trusted_keys` then. `dialog.packet` can be replaced to say
other packets, `dialog.cut_before` cuts the connection where a packet of that kind should come.
"""

from __future__ import annotations

import asyncio
from typing import Self

from cryptography.exceptions import InvalidTag

from device_agent.transports.wifi.pairing import (
    DEVICE_GUID,
    EXPORT_LABEL,
    EXPORT_SIZE,
    HEADER,
    NAMES,
    PEER_INFO,
    PEER_INFO_SIZE,
    RSA_PUBLIC_KEY,
    SPAKE2_MESSAGE,
    VERSION,
    Cipher,
)
from device_agent.transports.wifi.spake2 import Spake2
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.tls_side import TlsSide


class PairingDialog:
    """The dialog; entering shows it, leaving closes it."""

    def __init__(self, phones: FakePhones, phone: FakePhone, code: str) -> None:
        self._phones = phones
        self._phone = phone
        self._code = code
        self._server: asyncio.Server | None = None
        self.port = 0
        self.guid = f"adb-{phone.state.serial}-a1B2c3"
        #: kind of packet before which the connection is cut
        self.cut_before: int | None = None
        #: hosts that are pairing: they hear of its end before the phone has thought it over
        self.busy = 0
        #: how many hosts gave another code
        self.refused = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it shows."""
        return "127.0.0.1", self.port

    def packet(self, kind: int, payload: bytes) -> bytes:
        """A packet as the protocol has it."""
        return HEADER.pack(VERSION, kind, len(payload)) + payload

    def peer_info(self) -> bytes:
        """What the phone says of itself."""
        return (bytes([DEVICE_GUID]) + self.guid.encode()).ljust(PEER_INFO_SIZE, b"\0")

    def __enter__(self) -> Self:
        self._phones.wait(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._phones.wait(self._close())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = TlsSide(reader, writer, lambda _: True, self._phone.tls_version)
        self.busy += 1
        try:
            await side.handshake()
            await self._pair(side)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except InvalidTag:
            self.refused += 1
        finally:
            self.busy -= 1
            writer.close()

    async def _pair(self, side: TlsSide) -> None:
        password = self._code.encode() + side.exported(EXPORT_LABEL, EXPORT_SIZE)
        spake2 = Spake2("bob", NAMES, password)
        await self._send(side, SPAKE2_MESSAGE, spake2.message)
        cipher = Cipher(spake2.key(await self._receive(side, SPAKE2_MESSAGE)))
        await self._send(side, PEER_INFO, cipher.seal(self.peer_info()))
        theirs = cipher.open(await self._receive(side, PEER_INFO))
        assert len(theirs) == PEER_INFO_SIZE
        assert theirs[0] == RSA_PUBLIC_KEY
        self._phone.trusted_keys.append(theirs[1:].rstrip(b"\0"))

    async def _send(self, side: TlsSide, kind: int, payload: bytes) -> None:
        if kind == self.cut_before:
            raise ConnectionAbortedError
        side.write(self.packet(kind, payload))
        await side.drain()

    async def _receive(self, side: TlsSide, expected: int) -> bytes:
        version, kind, size = HEADER.unpack(await side.readexactly(HEADER.size))
        assert (version, kind) == (VERSION, expected)
        return await side.readexactly(size)
