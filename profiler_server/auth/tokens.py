"""The form of a token, and the key under which its hash is stored.

A token is `pfs_`, 32 random base62 characters and 6 of their CRC-32: a prefix that
secret scanners find, and a checksum that tells a typing error from a revoked token
without asking the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from pathlib import Path

from netspec.console.private_file import make_private
from netspec.errors import UserError

PREFIX = "pfs_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_LENGTH = len(PREFIX) + _RANDOM_LENGTH + _CHECKSUM_LENGTH
_KEY_BYTES = 32


def new_token() -> str:
    """A token nobody has seen before, with 190 random bits."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return PREFIX + random + _checksum(random)


def is_well_formed(token: str) -> bool:
    """Whether prefix, length and checksum are a token's."""
    if not (token.isascii() and token.startswith(PREFIX) and len(token) == _LENGTH):
        return False
    body = token.removeprefix(PREFIX)
    return body[_RANDOM_LENGTH:] == _checksum(body[:_RANDOM_LENGTH])


def digest(key: bytes, token: str) -> str:
    """HMAC-SHA-256 (hex): what is stored instead of the token."""
    return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()


def server_key(path: Path) -> bytes:
    """The key in the file, made on first use and readable by this user alone.

    Raises:
        UserError: the file cannot be made or read, or holds something else.
    """
    try:
        if not path.exists():
            made = secrets.token_bytes(_KEY_BYTES).hex()
            make_private(path, f"{made}\n".encode("ascii"))
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise UserError(f"the server key {path} cannot be used: {error}") from error
    if len(key) != _KEY_BYTES:
        raise UserError(
            f"the server key {path} has {len(key)} bytes, expected {_KEY_BYTES}; restore it from "
            "a backup, or remove it and make new tokens"
        )
    return key


def key_for(purpose: str, server_key: bytes) -> bytes:
    """A key of its own for each use of the server's."""
    return hmac.new(server_key, purpose.encode(), hashlib.sha256).digest()


def _checksum(random: str) -> str:
    number = zlib.crc32(random.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
