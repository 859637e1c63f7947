"""Answering a request once, however often it is sent.

The key is taken, the work done and the answer kept in one transaction, so that of two
requests at once, on any replicas, one waits for the other and gets its answer.
Source of the header: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy.orm import Session

from profiler_server.idempotency import repository
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now

#: for so long a key stands for its first request
KEPT = timedelta(hours=24)


@dataclass(frozen=True)
class Answer:
    """What was answered, now or before."""

    #: JSON
    document: str
    repeated: bool


def once(
    session: Session,
    token_id: str,
    key: str | None,
    request: BaseModel,
    act: Callable[[], BaseModel],
) -> Answer:
    """The answer to the first request under the key; `act` makes it.

    Args:
        session: a writing transaction, committed with the answer.
        token_id: keys of different tokens have nothing to do with each other.
        key: the client's; None: every request is a new one.
        request: what is asked.
        act: does what is asked.

    Raises:
        Problem: `idempotency-key-reused`: the key stands for another request.
    """
    if key is None:
        return Answer(act().model_dump_json(), repeated=False)
    now = database_now(session)
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    repository.forget(session, now - KEPT)
    if not repository.begin(session, token_id, key, digest, now):
        kept = repository.get(session, token_id, key)
        if kept.digest != digest:
            raise Problem(
                "idempotency-key-reused",
                f"the Idempotency-Key {key!r} was sent with another body within "
                f"{KEPT.total_seconds() / 3600:.0f} hours; a new request needs a new key",
            )
        return Answer(kept.answer, repeated=True)
    document = act().model_dump_json()
    repository.keep(session, token_id, key, document)
    return Answer(document, repeated=False)
