"""Making, checking and revoking tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from netspec.console.short_ids import the_only
from netspec.errors import UserError
from profiler_server.auth import repository, sessions, tokens
from profiler_server.auth.rows import LONGEST_NAME, TokenRow
from profiler_server.auth.scopes import Scope
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.kit.http.caching import BriefCache
from profiler_server.kit.ids import new_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.kit.sql.reach import Reach

#: for so long (s) a checked token is taken without asking the database again
TRUSTED_S = 5.0
_LAST_USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """Who asks."""

    token_id: str
    scopes: frozenset[Scope]
    #: what it sees; None: everything
    reach: Reach | None = None

    def may(self, any_of: Sequence[Scope]) -> bool:
        """Whether the token has one of the scopes."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(any_of)


def create(
    session: Session,
    key: bytes,
    name: str,
    scopes: Sequence[Scope],
    days: float | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Stores a new token's hash; the token is returned this once.

    Args:
        session: a writing transaction.
        key: the server's key.
        name: for people.
        scopes: what the token allows.
        days: how long it is valid; None: until revoked.
        labels: of the devices and targets that it is limited to; none: it sees everything.

    Raises:
        UserError: the name has no characters, or more than fit, or an administrator's token is to
            be limited.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(f"a token's name has 1 to {LONGEST_NAME} characters, got {len(name)}")
    if labels and Scope.ADMIN in scopes:
        raise UserError("a token with the scope admin sees everything; give it no labels")
    now = database_now(session)
    row = TokenRow(
        name=name,
        scopes=" ".join(sorted(set(scopes))),
        labels=stored_labels(labels or {}),
        expires_at=None if days is None else now + timedelta(days=days),
    )
    return add(session, key, now, row)


def add(session: Session, key: bytes, now: datetime, row: TokenRow) -> str:
    """Inserts a token with a new secret, which is returned this once.

    Args:
        session: a writing transaction.
        key: the server's key.
        now: by the database's clock.
        row: its name, scopes and end, and who has made it.
    """
    token = tokens.new_token()
    row.id, row.created_at, row.digest = new_id("token"), now, tokens.digest(key, token)
    repository.add(session, row)
    events.append(session, now, EventKind.TOKEN_CREATED, token_id=row.id, scopes=row.scopes)
    return token


def stored_labels(labels: Mapping[str, str]) -> str:
    """Labels as they are stored: JSON, always the same for the same."""
    return json.dumps(labels, sort_keys=True)


def reach_of_token(token_id: str, labels: str) -> Reach | None:
    """What a token sees that has these labels, as stored; None: everything."""
    limits: dict[str, str] = json.loads(labels)
    return Reach(token_id, tuple(sorted(limits.items()))) if limits else None


def rotate(session: Session, key: bytes, row: TokenRow, overlap_s: float) -> str:
    """Gives a token another secret, which is returned this once; the one before ends later.

    Args:
        session: a writing transaction that has locked the row.
        key: the server's key.
        row: the token's.
        overlap_s: for so long (s) the secret of before is taken, too.
    """
    token, now = tokens.new_token(), database_now(session)
    row.previous_digest = row.digest if overlap_s else None
    row.previous_until = now + timedelta(seconds=overlap_s) if overlap_s else None
    row.digest = tokens.digest(key, token)
    session.flush()
    if not overlap_s:
        # Whoever has the secret of before may have signed in with it.
        sessions.end(session, row.id)
    events.append(
        session, now, EventKind.TOKEN_ROTATED, token_id=row.id, overlap_s=round(overlap_s)
    )
    return token


def find(session: Session, beginning: str) -> TokenRow:
    """The only token whose id begins so; one that was revoked before is none.

    Raises:
        UnknownId: none or several fit; the message lists the candidates.
    """
    return the_only(
        "valid token",
        [row for row in repository.everything(session) if row.revoked_at is None],
        beginning,
        "profiler-server token list",
        names=lambda row: [row.id],
        label=lambda row: row.name,
    )


def revoke(session: Session, beginning: str) -> TokenRow:
    """Revokes the only token whose id begins so; one that was revoked before is none.

    Raises:
        UnknownId: none or several fit; the message lists the candidates.
    """
    row, now = find(session, beginning), database_now(session)
    if repository.revoke(session, row.id, now):
        events.append(session, now, EventKind.TOKEN_REVOKED, token_id=row.id)
    return row


class TokenChecker:
    """Checks tokens; a good one is trusted for `TRUSTED_S`, so a revocation takes as long."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key
        # Apart: an id is no secret, and must not pass for the token.
        self._by_token: BriefCache[str, Principal] = BriefCache(TRUSTED_S)
        self._by_id: BriefCache[str, Principal] = BriefCache(TRUSTED_S)

    def trusted(self, token: str) -> Principal | None:
        """Who it is, if the token was checked a moment ago; never waits."""
        return self._by_token.get(token)

    def trusted_id(self, token_id: str) -> Principal | None:
        """Who has the token with this id, if that was checked a moment ago; never waits."""
        return self._by_id.get(token_id)

    def check(self, token: str) -> Principal:
        """Who it is, after asking the database.

        Raises:
            Problem: `invalid-token`.
        """
        digest = tokens.digest(self._key, token)
        either = (TokenRow.digest == digest) | (TokenRow.previous_digest == digest)
        principal = self._checked(either, digest)
        self._by_token.put(token, principal)
        return principal

    def check_id(self, token_id: str) -> Principal:
        """Who it is that was found to have the token with this id, after asking the database.

        Raises:
            Problem: `invalid-token`.
        """
        principal = self._checked(TokenRow.id == token_id)
        self._by_id.put(token_id, principal)
        return principal

    def _checked(self, which: ColumnElement[bool], digest: str | None = None) -> Principal:
        with self._database.read() as session:
            row = repository.one(session, which)
            now = database_now(session)
        if row is None:
            raise refused("this server has not made it")
        until = row.previous_until if digest == row.previous_digest else None
        if until is not None and until <= now:
            raise refused(f"it was rotated, and taken until {until:%Y-%m-%d %H:%M} UTC")
        if row.revoked_at is not None:
            raise refused("it was revoked")
        if row.expires_at is not None and row.expires_at <= now:
            raise refused(f"it expired on {row.expires_at:%Y-%m-%d %H:%M} UTC")
        self._note_use(row, now)
        scopes = frozenset(Scope(scope) for scope in row.scopes.split())
        return Principal(row.id, scopes, reach_of_token(row.id, row.labels))

    def _note_use(self, row: TokenRow, now: datetime) -> None:
        if row.last_used_at is None or now - row.last_used_at > _LAST_USED_RESOLUTION:
            with self._database.write() as session:
                repository.touch(session, row.id, now)


def refused(why: str) -> Problem:
    """The problem with a token that is not taken."""
    return Problem(
        "invalid-token",
        f"{why}; `profiler-server token create` makes a new one",
        headers={"WWW-Authenticate": "Bearer"},
    )
