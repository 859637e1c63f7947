"""Signed cookies: who is signed in, without a row in the database.

A session names a token and ends at a time; the server's key signs both, so every replica takes it.
It holds nothing that the API takes, and is worth as much as its token is at that moment.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

#: how long (s) one need not sign in again
SESSION_S = 12 * 3_600
_PURPOSE = b"profiler-server dashboard"
_NONCE_BYTES = 16


class Sessions:
    """Makes and reads what the cookies hold.

    Args:
        server_key: from which the signing key is derived.
        clock: seconds since 1970.
    """

    def __init__(self, server_key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.new(server_key, _PURPOSE, hashlib.sha256).digest()
        self._clock = clock

    def begin(self, token_id: str) -> str:
        """A new session of a token that was just checked."""
        ends = int(self._clock()) + SESSION_S
        content = f"{token_id}.{ends}.{nonce()}"
        return f"{content}.{self._sign('session', content)}"

    def token_id(self, session: str) -> str | None:
        """Whose session it is; None if it has ended or was not made by this server."""
        content, _, signature = session.rpartition(".")
        if not _same(signature, self._sign("session", content)):
            return None
        token_id, ends, _ = content.split(".")
        return token_id if int(ends) > self._clock() else None

    def form_token(self, cookie: str) -> str:
        """What a form must send with the cookie: no other site can know it."""
        return self._sign("form", cookie)

    def is_form_token(self, cookie: str, given: str) -> bool:
        """Whether a form was made for the browser that has the cookie."""
        return _same(given, self.form_token(cookie))

    def _sign(self, use: str, content: str) -> str:
        signed = f"{use}\n{content}".encode()
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


def nonce() -> str:
    """What nobody can guess."""
    return secrets.token_hex(_NONCE_BYTES)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
