"""SQL of answers that are kept for repeated requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from profiler_server.idempotency.rows import RepeatRow
from profiler_server.kit.sql.bulk import insert_absent

_FORGOTTEN_AT_A_TIME = 100


def begin(session: Session, token_id: str, key: str, digest: str, now: datetime) -> bool:
    """Takes the key; False if it is taken. Waits for another transaction that is taking it."""
    row = {"token_id": token_id, "key": key, "digest": digest, "created_at": now, "answer": ""}
    return insert_absent(session, RepeatRow, [row]) == 1


def get(session: Session, token_id: str, key: str) -> RepeatRow:
    """What is kept under a key that is taken."""
    of_key = (RepeatRow.token_id == token_id, RepeatRow.key == key)
    return session.scalars(select(RepeatRow).where(*of_key)).one()


def keep(session: Session, token_id: str, key: str, answer: str) -> None:
    """Keeps the answer under a key that this transaction has taken."""
    of_key = (RepeatRow.token_id == token_id, RepeatRow.key == key)
    session.execute(update(RepeatRow).where(*of_key).values(answer=answer))


def forget(session: Session, before: datetime) -> None:
    """Gives some of the keys free that were taken before that time."""
    names = (RepeatRow.token_id, RepeatRow.key)
    old = (
        select(*names)
        .where(RepeatRow.created_at < before)
        .limit(_FORGOTTEN_AT_A_TIME)
        # Others may be at the same ones.
        .with_for_update(skip_locked=True)
    )
    taken = [tuple(row) for row in session.execute(old)]
    if taken:
        session.execute(delete(RepeatRow).where(tuple_(*names).in_(taken)))
