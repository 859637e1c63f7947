"""Tokens made, rotated and revoked by other tokens, none of which makes a stronger one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from netspec.wire import MadeToken, TokenInfo, TokenQuery, TokenRequest, TokenRotation
from profiler_server.auth import repository, service
from profiler_server.auth.rows import TokenRow
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page


def make(session: Session, key: bytes, request: TokenRequest, maker: Principal) -> MadeToken:
    """Makes a token that can do no more, and lasts no longer, than its maker.

    Args:
        session: a writing transaction.
        key: the server's key.
        request: what the token is to be.
        maker: asks for it.

    Raises:
        Problem: `stronger-token`.
    """
    now = database_now(session)
    scopes = [Scope(scope) for scope in dict.fromkeys(request.scopes)]
    own_end = _require(session, maker.token_id).expires_at
    end = own_end if request.days is None else now + timedelta(days=request.days)
    _refuse_stronger(scopes, end, maker, own_end)
    row = TokenRow(
        name=request.name,
        scopes=" ".join(sorted(scopes)),
        labels=service.stored_labels(request.labels),
        expires_at=end,
        made_by=maker.token_id,
    )
    token = service.add(session, key, now, row)
    return MadeToken(token=token, info=_to_wire(row))


def page(session: Session, query: TokenQuery) -> Page[TokenInfo]:
    """The tokens that a query asks for, by default the oldest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    found = repository.page(session, query, database_now(session))
    return found.with_items([_to_wire(row) for row in found.items])


def get(session: Session, token_id: str) -> TokenInfo:
    """One token.

    Raises:
        Problem: `unknown-token`.
    """
    return _to_wire(_require(session, token_id))


def rotate(
    session: Session, key: bytes, token_id: str, rotation: TokenRotation, who: Principal
) -> MadeToken:
    """Gives a token another secret.

    Args:
        session: a writing transaction.
        key: the server's key.
        token_id: the token.
        rotation: how long its secret of before is taken, too.
        who: asks, and gets to know the secret.

    Raises:
        Problem: `unknown-token`, `token-ended`, or `stronger-token`: the token can do more, or
            lasts longer, than the one that asks.
    """
    own_end = _require(session, who.token_id).expires_at
    row, now = _require(session, token_id, lock=True), database_now(session)
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Problem(
            "token-ended",
            f"token {token_id} was revoked or has expired; make another with POST /v1/tokens",
        )
    _refuse_stronger([Scope(scope) for scope in row.scopes.split()], row.expires_at, who, own_end)
    token = service.rotate(session, key, row, rotation.overlap_s)
    return MadeToken(token=token, info=_to_wire(row))


def revoke(session: Session, token_id: str) -> TokenInfo:
    """Revokes a token; what it has made stays. May be repeated.

    Raises:
        Problem: `unknown-token`.
    """
    row, now = _require(session, token_id, lock=True), database_now(session)
    if repository.revoke(session, token_id, now):
        events.append(session, now, EventKind.TOKEN_REVOKED, token_id=token_id)
        session.refresh(row)
    return _to_wire(row)


def _require(session: Session, token_id: str, *, lock: bool = False) -> TokenRow:
    if lock:
        row = repository.lock(session, token_id)
    else:
        row = repository.one(session, TokenRow.id == token_id)
    if row is None:
        raise Problem("unknown-token", f"no token {token_id!r}; GET /v1/tokens lists them")
    return row


def _refuse_stronger(
    scopes: Sequence[Scope], end: datetime | None, maker: Principal, own_end: datetime | None
) -> None:
    more = sorted(set(scopes) - maker.scopes)
    if more and Scope.ADMIN not in maker.scopes:
        raise Problem(
            "stronger-token",
            f"token {maker.token_id} lacks {' '.join(more)}; ask for no more than it has",
        )
    if own_end is not None and (end is None or end > own_end):
        raise Problem(
            "stronger-token",
            f"token {maker.token_id} ends on {own_end:%Y-%m-%d %H:%M} UTC and makes or rotates "
            "none that lasts longer; ask with fewer `days`, or with a token that lasts",
        )


def _to_wire(row: TokenRow) -> TokenInfo:
    return TokenInfo.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "scopes": row.scopes.split(),
            "labels": json.loads(row.labels),
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "last_used_at": row.last_used_at,
            "revoked_at": row.revoked_at,
            "previous_until": row.previous_until,
            "made_by": row.made_by,
        }
    )
