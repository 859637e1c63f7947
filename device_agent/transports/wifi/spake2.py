"""SPAKE2 over edwards25519 as BoringSSL does it: two sides that know the same code get one key.

It is neither RFC 9382 nor what PyPI's `spake2` speaks: the points M and N, the scalar of the
password and the transcript are BoringSSL's own (`crypto/curve25519/spake25519.cc`); phones pair by
it. Points are added in affine coordinates and not in constant time: a private key lives for one
pairing of a code that the phone shows for one dialog.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

#: bytes of a message, of a key
MESSAGE_SIZE, KEY_SIZE = 32, 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_COFACTOR = 8
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)

Role = Literal["alice", "bob"]


class NoPoint(ValueError):
    """A message is not the encoding of a point of the curve."""


@dataclass(frozen=True)
class _Point:
    """Affine coordinates on -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032, section 5.1)."""

    x: int
    y: int

    def __add__(self, other: _Point) -> _Point:
        both = _D * self.x * other.x * self.y * other.y % _P
        x = (self.x * other.y + self.y * other.x) * pow(1 + both, -1, _P) % _P
        y = (self.y * other.y + self.x * other.x) * pow(1 - both, -1, _P) % _P
        return _Point(x, y)

    def __neg__(self) -> _Point:
        return _Point(-self.x % _P, self.y)

    def __rmul__(self, scalar: int) -> _Point:
        total, doubled = _Point(0, 1), self
        while scalar:
            if scalar & 1:
                total += doubled
            doubled += doubled
            scalar >>= 1
        return total

    def encoded(self) -> bytes:
        return (self.y | (self.x & 1) << 255).to_bytes(MESSAGE_SIZE, "little")


def _decoded(encoding: bytes) -> _Point:
    number = int.from_bytes(encoding, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    x = _square_root((y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P)
    if len(encoding) != MESSAGE_SIZE or y >= _P or x is None or (sign and x == 0):
        raise NoPoint(f"{encoding.hex()} is no point of edwards25519")
    return _Point(x if x & 1 == sign else _P - x, y)


def _square_root(square: int) -> int | None:
    root = pow(square, (_P + 3) // 8, _P)
    if root * root % _P != square:
        root = root * _ROOT_OF_MINUS_1 % _P
    return root if root * root % _P == square else None


_BASE = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(MESSAGE_SIZE, "little"))
#: SHA-256 of `edwards25519 point generation seed (M)`, and of (N) until it was a point
_M = _decoded(bytes.fromhex("5ada7e4bf6ddd9adb6626d32131c6b5c51a1e347a3478f53cfcf441b88eed12e"))
_N = _decoded(bytes.fromhex("10e3df0ae37d8e7a99b5fe74b44672103dbddcbd06af680d71329a11693bc778"))


class Spake2:
    """One side of one exchange.

    Args:
        role: alice opens; each side has to know which one it is.
        names: alice's and bob's.
        password: what both sides know.
        private_key: 64 random bytes; for tests, which know what comes out of them.
    """

    def __init__(
        self,
        role: Role,
        names: tuple[bytes, bytes],
        password: bytes,
        private_key: bytes | None = None,
    ) -> None:
        self._role = role
        self._names = names
        self._password_hash = hashlib.sha512(password).digest()
        scalar = int.from_bytes(self._password_hash, "little") % _ORDER
        # M and N are not of the prime order. BoringSSL multiplies by 8 what rids them of the rest,
        # without a change of the scalar modulo the order.
        self._password_scalar = scalar + _ORDER * (-scalar * pow(_ORDER, -1, _COFACTOR) % _COFACTOR)
        random = secrets.token_bytes(64) if private_key is None else private_key
        self._private = int.from_bytes(random, "little") % _ORDER * _COFACTOR
        mask = self._password_scalar * (_M if role == "alice" else _N)
        #: to be sent to the other side, 32 bytes
        self.message = (self._private * _BASE + mask).encoded()

    def key(self, received: bytes) -> bytes:
        """The key, 64 bytes: the other side's if, and only if, it knows the same password.

        Args:
            received: the other side's message.

        Raises:
            NoPoint: it is not one.
        """
        mask = self._password_scalar * (_N if self._role == "alice" else _M)
        shared = (self._private * (_decoded(received) + -mask)).encoded()
        messages = (self.message, received)
        if self._role == "bob":
            messages = (received, self.message)
        transcript = (*self._names, *messages, shared, self._password_hash)
        return hashlib.sha512(
            b"".join(len(part).to_bytes(8, "little") + part for part in transcript)
        ).digest()
