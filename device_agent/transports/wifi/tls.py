"""TLS 1.3 as adb speaks it: both sides show self-signed certificates, of which the key counts.

pyOpenSSL rather than Python's own `ssl`: that one neither exports keying material, which pairing
needs, nor takes a certificate that lies in no file. Sources: `tls/tls_connection.cpp` and
`crypto/x509_generator.cpp` of Android's adb.
"""

from __future__ import annotations

import datetime as dt
import os
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

_VALID_FOR = dt.timedelta(days=10 * 365)
_NAME = x509.Name(
    [
        x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Android"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "Adb"),
    ]
)
_CLOSED = "closed by the other side"
_Result = TypeVar("_Result")


class TlsError(OSError):
    """What is wrong between the two TLS sides."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"TLS: {reason}")
        #: whether the other side ended it, and said why
        self.is_alert = " alert " in f" {reason} "


def certificate_of(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A new certificate of a key, signed by itself, with adb's name in it."""
    now = dt.datetime.now(dt.UTC)
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


class TlsSocket:
    """The host's side of TLS on a connected socket, used as the socket was.

    Any certificate of a phone is taken, as adb takes it: nobody vouches for phones. In pairing the
    code proves both sides; later the phone proves itself by nothing.

    Args:
        connected: closed with this one.
        key: what the phone is to know this machine by.
    """

    def __init__(self, connected: socket.socket, key: rsa.RSAPrivateKey) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_verify(SSL.VERIFY_NONE)
        context.use_privatekey(key)
        context.use_certificate(certificate_of(key))
        self._socket = connected
        self._tls = SSL.Connection(context, connected)
        self._tls.set_connect_state()
        self._end = 0.0

    def settimeout(self, seconds: float) -> None:
        """The next call ends within this time."""
        # The socket's own time-out stays set, which keeps it from blocking within OpenSSL.
        self._end = time.monotonic() + seconds

    def handshake(self) -> None:
        """Agrees on keys. Whether the phone takes ours is known only by the first `recv`.

        Raises:
            TlsError: the other side speaks no TLS 1.3.
            OSError: the connection broke, or the time is over.
        """
        self._repeated(self._tls.do_handshake)

    def exported(self, label: bytes, size: int) -> bytes:
        """Bytes that only the two ends of this connection know (RFC 8446, section 7.5)."""
        return self._tls.export_keying_material(label, size)

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, at least one.

        Raises:
            TlsError: the other side breaks the protocol, or refuses this one.
            OSError: the other side has closed, the connection broke, or the time is over.
        """
        return self._repeated(partial(self._tls.recv, size))

    def sendall(self, content: bytes) -> None:
        """Sends all of it.

        Raises:
            OSError: the connection broke, or the time is over.
        """
        rest = memoryview(content)
        while rest:
            rest = rest[self._repeated(partial(self._tls.send, rest)) :]

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _repeated(self, call: Callable[[], _Result]) -> _Result:
        """What the call gives as soon as the socket is ready for it."""
        while True:
            try:
                return call()
            except SSL.WantReadError:
                self._wait(select.POLLIN)
            except SSL.WantWriteError:
                self._wait(select.POLLOUT)
            except SSL.ZeroReturnError as error:
                raise ConnectionError(_CLOSED) from error
            except SSL.SysCallError as error:
                raise _broken(error) from error
            except SSL.Error as error:
                raise TlsError("; ".join(reason for _, _, reason in error.args[0])) from error

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(max(0.0, self._end - time.monotonic()) * 1000):
            raise TimeoutError


def _broken(error: SSL.SysCallError) -> OSError:
    number = error.args[0]
    if number < 0:  # no system call failed
        return ConnectionError(_CLOSED)
    return OSError(number, os.strerror(number))
