"""Storing `.tflite` files under their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from sqlalchemy.orm import Session

from netspec.wire import MODEL_IDENTIFIER
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.uploaded_models import repository


def store(session: Session, sha256: str, content: bytes) -> bool:
    """Stores a file; False if it was there.

    Raises:
        Problem: `hash-mismatch` or `not-a-model`.
    """
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise Problem(
            "hash-mismatch",
            f"the address says {sha256}, the {len(content)} bytes received have {actual}; "
            "send the whole file to its own hash (lower-case hex)",
        )
    if content[4:8] != MODEL_IDENTIFIER:
        raise Problem(
            "not-a-model",
            f"expected the identifier {MODEL_IDENTIFIER.decode()} at bytes 4 to 8 of a .tflite "
            f"file, got {content[4:8]!r}",
        )
    if repository.known(session, [sha256]):
        return False
    repository.store(session, sha256, content, database_now(session))
    return True


def load(session: Session, sha256: str) -> bytes:
    """A stored file.

    Raises:
        Problem: `unknown-model`.
    """
    content = repository.content(session, sha256)
    if content is None:
        raise unknown([sha256])
    return content


def require(session: Session, hashes: Collection[str]) -> None:
    """Checks that the files are stored.

    Raises:
        Problem: `unknown-model`, naming every one that is missing.
    """
    missing = sorted(set(hashes) - repository.known(session, hashes)) if hashes else []
    if missing:
        raise unknown(missing)


def unknown(hashes: Collection[str]) -> Problem:
    """The problem with files that are not stored."""
    return Problem(
        "unknown-model",
        f"not uploaded: {', '.join(hashes)}; send the file with PUT /v1/models/SHA256",
    )
