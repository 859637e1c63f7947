"""The phone's side of TLS, for fake phones: adb's certificates, and whose key is known."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL, crypto

from device_agent.transports.wifi.tls import certificate_of

_PIECE = 64 * 1024
_PHONES_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

Knows = Callable[[x509.Certificate], bool]


class TlsSide:
    """TLS on an asyncio connection; both its reader and its writer.

    Args:
        reader: of the connection.
        writer: of the connection.
        knows: whether the phone lets the owner of this certificate in.
        version: the only one that it speaks, as OpenSSL numbers it.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        knows: Knows,
        version: int = SSL.TLS1_3_VERSION,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.transport = writer.transport
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.use_privatekey(_PHONES_KEY)
        context.use_certificate(certificate_of(_PHONES_KEY))

        def verify(_: SSL.Connection, shown: crypto.X509, *__: int) -> bool:
            return knows(shown.to_cryptography())

        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._received = bytearray()

    async def handshake(self) -> None:
        """Shakes hands.

        Raises:
            ConnectionAbortedError: the host is not let in; it has been told so.
        """
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                await self._more()
            except SSL.Error as error:
                await self.drain()
                self._writer.close()
                raise ConnectionAbortedError(str(error)) from error
            else:
                return await self.drain()

    def exported(self, label: bytes, size: int) -> bytes:
        """Keying material of the connection."""
        return self._tls.export_keying_material(label, size)

    async def readexactly(self, size: int) -> bytes:
        """That many bytes."""
        while len(self._received) < size:
            try:
                self._received += self._tls.recv(_PIECE)
            except SSL.WantReadError:
                await self._more()
            except SSL.Error as error:
                raise ConnectionResetError(str(error)) from error
        piece = bytes(self._received[:size])
        del self._received[:size]
        return piece

    def write(self, content: bytes) -> None:
        """Takes bytes to be sent."""
        self._tls.sendall(content)
        self._flush()

    async def drain(self) -> None:
        """Waits until the connection takes more."""
        self._flush()
        await self._writer.drain()

    def _flush(self) -> None:
        try:
            while True:
                self._writer.write(self._tls.bio_read(_PIECE))
        except SSL.WantReadError:
            return

    async def _more(self) -> None:
        await self.drain()
        received = await self._reader.read(_PIECE)
        if not received:
            raise ConnectionResetError
        self._tls.bio_write(received)


def android_key(text: bytes) -> rsa.RSAPublicKey:
    """The key in Android's form, base64 with a name behind it."""
    packed = base64.b64decode(text.split()[0])
    modulus = int.from_bytes(packed[8 : 8 + 256], "little")
    return rsa.RSAPublicNumbers(int.from_bytes(packed[-4:], "little"), modulus).public_key()
