"""Secrets of webhooks, and signatures made with them.

A secret is derived from the server's key and a salt: nobody who reads the database can sign.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from profiler_server.auth.tokens import key_for


def new_salt() -> str:
    """What a new secret is derived from."""
    return secrets.token_hex(32)


def secret(server_key: bytes, salt: str) -> bytes:
    """The 32 bytes that deliveries are signed with."""
    return hmac.digest(key_for("webhooks", server_key), salt.encode(), hashlib.sha256)


def shown(key: bytes) -> str:
    """A secret as receivers want it."""
    return f"whsec_{base64.b64encode(key).decode()}"


def headers(keys: Sequence[bytes], message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery.

    Args:
        keys: secrets that are valid now, the newest first; the body is signed with each.
        message_id: the same at each attempt.
        at_s: when it is sent, in seconds since 1970.
        body: as it is sent.
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    made = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
        "Content-Type": "application/json",
        "User-Agent": "profiler-server",
    }
