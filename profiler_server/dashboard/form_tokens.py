"""What every form carries, so that no other site can send one in a browser's name."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_PURPOSE = b"profiler-server dashboard"
_NONCE_BYTES = 16


class FormTokens:
    """Makes and checks what forms carry beside a browser's cookie.

    Args:
        server_key: from which the signing key is derived.
    """

    def __init__(self, server_key: bytes) -> None:
        self._key = hmac.new(server_key, _PURPOSE, hashlib.sha256).digest()

    def form_token(self, cookie: str) -> str:
        """What a form must send with the cookie: no other site can know it."""
        return hmac.new(self._key, f"form\n{cookie}".encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, cookie: str, given: str) -> bool:
        """Whether a form was made for the browser that has the cookie."""
        return hmac.compare_digest(given.encode(), self.form_token(cookie).encode())


def nonce() -> str:
    """What nobody can guess."""
    return secrets.token_hex(_NONCE_BYTES)
