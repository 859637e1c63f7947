"""Ids of rows that the server makes."""

from __future__ import annotations

import secrets


def new_id(kind: str) -> str:
    """A random id that says what it names, for instance `job_5f0c9a1b2c3d4e5f`."""
    return f"{kind}_{secrets.token_hex(8)}"
