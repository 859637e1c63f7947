"""Phones with Wireless debugging (Android 11 and later): TLS as soon as the phone asks for it.

Source: `A_STLS` in `protocol.txt` and `adb.cpp` of Android's adb. The host sends CNXN, the phone
answers STLS instead of AUTH, the host sends STLS too, both shake hands, and the phone goes on with
CNXN within TLS. Whether it knows the host's key is seen by the host's certificate.
"""

from __future__ import annotations

import struct

from device_agent.errors import DeviceNotReady, TransportLost, Unauthorised
from device_agent.transports.keys import Key
from device_agent.transports.pipe import TcpPipe
from device_agent.transports.wifi.tls import TlsError

#: command, two arguments, bytes that follow, their checksum, the command's complement
_PACKET = struct.Struct("<4sIIIII")
_STLS, _STLS_VERSION = b"STLS", 0x01000000
#: either side's request for TLS
STLS_REQUEST = _PACKET.pack(
    _STLS, _STLS_VERSION, 0, 0, 0, int.from_bytes(_STLS, "little") ^ 0xFFFFFFFF
)
#: how the record begins that says why a TLS connection ends (RFC 8446, section 5.1)
_TLS_ALERT = b"\x15\x03"
_TO_PAIR = (
    "open `Pair device with pairing code` under Wireless debugging on the phone, and give "
    "`device-agent pair` the address that it shows"
)


class WifiPipe(TcpPipe):
    """A TCP connection on which the phone may ask for TLS before it greets.

    adb-shell sees nothing of it: to its CNXN the phone's CNXN is the answer.
    """

    def __init__(self, host: str, port: int, key: Key) -> None:
        super().__init__(host, port)
        self._key = key
        self._greeted = False
        #: of the phone's first packet, what adb-shell has not read yet
        self._header = b""

    def connect(self, transport_timeout_s: float | None) -> None:
        """Connects."""
        try:
            super().connect(transport_timeout_s)
        except TransportLost as error:
            raise TransportLost(
                f"{error}; is the phone on, in this network, and listening (Wireless debugging, or "
                "`adb tcpip 5555`)?"
            ) from error
        self._greeted, self._header = False, b""

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Up to `numbytes` bytes, at least one.

        Raises:
            Unauthorised: the phone asks for TLS, and is not paired with this machine.
        """
        if not self._greeted:
            self._header = self._first_header()
            self._greeted = True
        if not self._header:
            return super().bulk_read(numbytes, transport_timeout_s)
        piece, self._header = self._header[:numbytes], self._header[numbytes:]
        return piece

    def _first_header(self) -> bytes:
        begun = super().bulk_read(_PACKET.size, None)
        if begun.startswith(_TLS_ALERT):
            raise TransportLost(
                f"{self._name} speaks TLS from the first byte, as pairing dialogs do; give the "
                "address that Wireless debugging itself shows"
            )
        header = begun + self.exactly(_PACKET.size - len(begun))
        if not header.startswith(_STLS):
            return header
        if (size := _PACKET.unpack(header)[3]) != 0:
            raise TransportLost(f"{self._name} asks for TLS with {size} bytes, where none belong")
        self.bulk_write(STLS_REQUEST, None)
        self.start_tls(self._key.private)
        try:
            return self.exactly(_PACKET.size)
        except TransportLost as error:
            raise TransportLost(
                f"{error}, where its greeting should come; if it is not paired with this machine, "
                f"{_TO_PAIR}"
            ) from error

    def _lost(self, error: OSError) -> DeviceNotReady:
        if isinstance(error, TlsError) and error.is_alert and not self._greeted:
            return Unauthorised(
                f"{self._name} is not paired with this machine ({error}): {_TO_PAIR} (key: "
                f"{self._key.path})"
            )
        return super()._lost(error)
