"""The RSA key that a phone knows this machine by."""

from __future__ import annotations

import base64
import os
import socket
import struct
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from device_agent.errors import AdbMissing
from netspec.console.private_file import make_private

_BITS = 2048
_BYTES = _BITS // 8
#: modulus size in words, -1/n mod 2^32, n, 2^4096 mod n, exponent
_PUBLIC = struct.Struct(f"<II{_BYTES}s{_BYTES}sI")


class Key:
    """Signs the phone's token, and tells the phone its public half.

    Source of the public half's form: `android_pubkey.c` of Android's libcrypto_utils.

    Args:
        path: of the private key, PEM.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        key = _loaded(path)
        if key is None:
            raise AdbMissing(
                f"{path} is not an RSA key of {_BITS} bits, which phones ask for; remove it, and a "
                "new one is made"
            )
        #: the private half
        self.private = key

    def Sign(self, data: bytes) -> bytes:  # noqa: N802 - adb-shell calls it so
        """The phone's token (20 bytes, taken for a SHA-1 digest), signed."""
        return self.private.sign(data, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))  # noqa: S303 - adb's protocol

    def GetPublicKey(self) -> bytes:  # noqa: N802 - adb-shell calls it so
        """The public half in Android's form, base64, with a name for the phone's dialog."""
        public = self.private.public_key().public_numbers()
        word = 1 << 32
        packed = _PUBLIC.pack(
            _BYTES // 4,
            word - pow(public.n, -1, word),
            public.n.to_bytes(_BYTES, "little"),
            pow(1 << _BITS, 2, public.n).to_bytes(_BYTES, "little"),
            public.e,
        )
        return base64.b64encode(packed) + f" device-agent@{socket.gethostname()}".encode()


def machine_key(folder: Path, home: Path | None = None) -> Key:
    """The user's own adb key where there is one, since phones know it; else one of ours.

    Args:
        folder: where ours lies; made on first use, readable by this user alone.
        home: of the user.

    Raises:
        AdbMissing: the key's file is no key.
    """
    users = (home or Path.home()) / ".android" / "adbkey"
    if os.access(users, os.R_OK):
        return Key(users)
    ours = folder / "adbkey"
    if not ours.exists():
        _make(ours)
    return Key(ours)


def _make(path: Path) -> None:
    """Writes a new key: another process that does so at the same time finds one key, not two."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    make_private(path, pem)


def _loaded(path: Path) -> rsa.RSAPrivateKey | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size == _BITS else None
