"""SQL of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from profiler_server.auth.tables import TokenRow
from profiler_server.kit.database import row_count


def add(session: Session, row: TokenRow) -> None:
    """Inserts a token."""
    session.add(row)
    session.flush()


def by_digest(session: Session, digest: str) -> TokenRow | None:
    """The token with this keyed hash."""
    return session.scalar(select(TokenRow).where(TokenRow.digest == digest))


def everything(session: Session) -> Sequence[TokenRow]:
    """All tokens, oldest first."""
    return session.scalars(select(TokenRow).order_by(TokenRow.created_at, TokenRow.id)).all()


def count(session: Session) -> int:
    """How many tokens there ever were."""
    return session.scalar(select(func.count()).select_from(TokenRow)) or 0


def touch(session: Session, token_id: str, now: datetime) -> None:
    """Notes that the token was used."""
    session.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=now))


def revoke(session: Session, token_id: str, now: datetime) -> bool:
    """Revokes a token; False if there is no such token or it was revoked before."""
    result = session.execute(
        update(TokenRow)
        .where(TokenRow.id == token_id, TokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return row_count(result) == 1
