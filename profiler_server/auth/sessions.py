"""Who is signed in with a browser: a session is a row, and over as soon as that is gone.

The browser keeps a secret, the row its keyed hash, as of a token: who reads the database can sign
in as nobody. A session is worth what its token is worth at that moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from profiler_server.auth import tokens
from profiler_server.auth.rows import SessionRow
from profiler_server.kit.ids import new_id
from profiler_server.kit.sql.database import database_now, row_count

#: how long (s) one need not sign in again
SESSION_S = 12 * 3_600
_LONGEST_BROWSER = 200
_SEEN_RESOLUTION = timedelta(minutes=1)


def begin(session: Session, key: bytes, token_id: str, browser: str) -> str:
    """Begins a session of a token that was just checked; the secret for the browser.

    Args:
        session: a writing transaction.
        key: the server's key.
        token_id: who signs in.
        browser: what it calls itself, for people.
    """
    secret, now = secrets.token_hex(32), database_now(session)
    session.execute(delete(SessionRow).where(SessionRow.ends_at <= now))
    session.add(
        SessionRow(
            id=new_id("session"),
            token_id=token_id,
            digest=tokens.digest(key, secret),
            browser=browser[:_LONGEST_BROWSER],
            began_at=now,
            seen_at=now,
            ends_at=now + timedelta(seconds=SESSION_S),
        )
    )
    return secret


def find(session: Session, key: bytes, secret: str) -> SessionRow | None:
    """The session that the browser's secret is of, if it lives."""
    of_secret = SessionRow.digest == tokens.digest(key, secret)
    return session.scalar(
        select(SessionRow).where(of_secret, SessionRow.ends_at > database_now(session))
    )


def is_unseen(session: Session, found: SessionRow) -> bool:
    """Whether it is a minute since it was noted that the browser has asked for something."""
    return found.seen_at <= database_now(session) - _SEEN_RESOLUTION


def see(session: Session, session_id: str) -> None:
    """Notes that the browser has asked for something."""
    seen = update(SessionRow).where(SessionRow.id == session_id)
    session.execute(seen.values(seen_at=database_now(session)))


def live(session: Session, token_id: str) -> Sequence[SessionRow]:
    """The token's sessions, the one seen last first."""
    return session.scalars(
        select(SessionRow)
        .where(SessionRow.token_id == token_id, SessionRow.ends_at > database_now(session))
        .order_by(SessionRow.seen_at.desc(), SessionRow.id)
    ).all()


def end(session: Session, token_id: str, session_id: str | None = None) -> int:
    """Ends one of a token's sessions, or all of them; how many that were."""
    ended = delete(SessionRow).where(SessionRow.token_id == token_id)
    if session_id is not None:
        ended = ended.where(SessionRow.id == session_id)
    return row_count(session.execute(ended))
