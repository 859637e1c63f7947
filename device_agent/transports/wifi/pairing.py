"""Pairing with a phone by the code that it shows, after which it knows this machine's key.

TLS 1.3 between strangers, a key out of the code and of that TLS connection by SPAKE2, and under
that key each side's name for itself. Sources: `pairing_auth/pairing_auth.cpp`,
`pairing_auth/aes_128_gcm.cpp` and `pairing_connection/pairing_connection.cpp` of Android's adb.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device_agent.errors import PairingRefused
from device_agent.text import clean, printed
from device_agent.transports.keys import Key
from device_agent.transports.pipe import TcpPipe
from device_agent.transports.streams import Deadline
from device_agent.transports.wifi.spake2 import NoPoint, Spake2

#: both with the NUL that ends them in C
NAMES = (b"adb pair client\0", b"adb pair server\0")
EXPORT_LABEL, EXPORT_SIZE = b"adb-label\0", 64
#: version, kind, bytes that follow
HEADER = struct.Struct(">BBI")
VERSION = 1
SPAKE2_MESSAGE, PEER_INFO = 0, 1
#: bytes of a side's name for itself, its kind before it and NULs behind it
PEER_INFO_SIZE = 8192
RSA_PUBLIC_KEY, DEVICE_GUID = 0, 1

_MAX_PAYLOAD = 2 * PEER_INFO_SIZE
_KINDS = {SPAKE2_MESSAGE: "SPAKE2 message", PEER_INFO: "peer's information"}


class Cipher:
    """AES-128-GCM as pairing uses it: numbers count what was sealed, and what was opened.

    Args:
        key_material: out of SPAKE2.
    """

    def __init__(self, key_material: bytes) -> None:
        info = b"adb pairing_auth aes-128-gcm key"
        key = HKDF(algorithm=hashes.SHA256(), length=16, salt=None, info=info).derive(key_material)
        self._aes = AESGCM(key)
        self._sealed = self._opened = 0

    def seal(self, content: bytes) -> bytes:
        """The content, encrypted, with its tag."""
        self._sealed += 1
        return self._aes.encrypt(_nonce(self._sealed - 1), content, None)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed.

        Raises:
            InvalidTag: the other side's key is another one.
        """
        self._opened += 1
        return self._aes.decrypt(_nonce(self._opened - 1), sealed, None)


def pair_phone(host: str, port: int, code: str, key: Key, deadline: Deadline) -> str:
    """Pairs; the phone's name for itself (GUID), such as `adb-R58M12345AB-x1Y2z3`.

    Args:
        host: of the phone.
        port: of its pairing dialog, another one than that of Wireless debugging.
        code: that the dialog shows.
        key: this machine's, which the phone is to know from now on.
        deadline: of all of it.

    Raises:
        PairingRefused: the code is another one, or what answers there is no pairing dialog.
        TransportLost: nobody answers there, or the connection broke.
    """
    pipe = TcpPipe(host, port)
    pipe.deadline = deadline
    try:
        pipe.connect(None)
        exported = pipe.start_tls(key.private).exported(EXPORT_LABEL, EXPORT_SIZE)
        return _Exchange(pipe, f"{host}:{port}").guid(code.encode() + exported, key)
    finally:
        pipe.close()


class _Exchange:
    def __init__(self, pipe: TcpPipe, name: str) -> None:
        self._pipe = pipe
        self._name = name

    def guid(self, password: bytes, key: Key) -> str:
        spake2 = Spake2("alice", NAMES, password)
        self._send(SPAKE2_MESSAGE, spake2.message)
        try:
            cipher = Cipher(spake2.key(self._receive(SPAKE2_MESSAGE)))
        except NoPoint as error:
            raise self._strange(f"its SPAKE2 message {error}") from error
        ours = bytes([RSA_PUBLIC_KEY]) + key.GetPublicKey()
        self._send(PEER_INFO, cipher.seal(ours.ljust(PEER_INFO_SIZE, b"\0")))
        try:
            theirs = cipher.open(self._receive(PEER_INFO))
        except InvalidTag as error:
            raise PairingRefused(
                f"{self._name} shows another code; open its dialog anew, and give the code that "
                "it shows then"
            ) from error
        if len(theirs) != PEER_INFO_SIZE or theirs[0] != DEVICE_GUID:
            raise self._strange(
                f"it says {len(theirs)} bytes of kind {theirs[:1].hex()} of itself, where its name "
                f"in {PEER_INFO_SIZE} bytes of kind {DEVICE_GUID:02x} belongs"
            )
        return clean(printed(theirs[1:].split(b"\0", 1)[0]))

    def _send(self, kind: int, payload: bytes) -> None:
        self._pipe.bulk_write(HEADER.pack(VERSION, kind, len(payload)) + payload, None)

    def _receive(self, expected: int) -> bytes:
        version, kind, size = HEADER.unpack(self._pipe.exactly(HEADER.size))
        if version != VERSION:
            raise self._strange(f"version {version} of it, and this machine version {VERSION}")
        if kind != expected:
            raise self._strange(f"a packet of kind {kind}, where a {_KINDS[expected]} belongs")
        if not 0 < size <= _MAX_PAYLOAD:
            raise self._strange(f"a packet of {size} bytes; 1 to {_MAX_PAYLOAD} are right")
        return self._pipe.exactly(size)

    def _strange(self, what: str) -> PairingRefused:
        return PairingRefused(f"{self._name} does not speak adb's pairing protocol: {what}")


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "little")
