"""SQL of tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal, or_, select, update
from sqlalchemy.orm import Session

from netspec.wire import TokenQuery
from profiler_server.auth.rows import DeviceOwnerRow, TokenRow
from profiler_server.kit.sql.bulk import insert_or_replace
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.lists import Condition, Listing, part_of, since, states, until
from profiler_server.kit.sql.pages import Column, Page
from profiler_server.kit.sql.reach import not_about_targets


def add(session: Session, row: TokenRow) -> None:
    """Inserts a token."""
    session.add(row)
    session.flush()


def one(session: Session, which: ColumnElement[bool]) -> TokenRow | None:
    """The token with this keyed hash, or id."""
    return session.scalar(select(TokenRow).where(which))


def names(session: Session, token_ids: Collection[str | None]) -> dict[str, str]:
    """The names of those of the ids that are tokens."""
    rows = session.execute(select(TokenRow.id, TokenRow.name).where(TokenRow.id.in_(token_ids)))
    return dict(rows.all())


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


@dataclass(frozen=True)
class DeviceOwner:
    """The token that a device was registered with."""

    token_id: str
    #: neither revoked nor expired
    is_valid: bool


def owner(session: Session, device_id: str, now: datetime) -> DeviceOwner | None:
    """Whose device it is; None: nobody's yet."""
    row = session.scalars(
        select(TokenRow)
        .join(DeviceOwnerRow, DeviceOwnerRow.token_id == TokenRow.id)
        .where(DeviceOwnerRow.device_id == device_id)
    ).one_or_none()
    if row is None:
        return None
    expired = row.expires_at is not None and row.expires_at <= now
    return DeviceOwner(row.id, is_valid=row.revoked_at is None and not expired)


def set_owner(session: Session, device_id: str, token_id: str) -> None:
    """Gives the device to the token."""
    row = {"device_id": device_id, "token_id": token_id}
    insert_or_replace(session, DeviceOwnerRow, [row], ("device_id",))


def owners(session: Session, device_ids: Collection[str]) -> dict[str, str]:
    """The tokens of those of the devices that have one."""
    rows = session.execute(
        select(DeviceOwnerRow.device_id, DeviceOwnerRow.token_id).where(
            DeviceOwnerRow.device_id.in_(device_ids)
        )
    )
    return dict(rows.all())


def page(session: Session, query: TokenQuery, now: datetime) -> Page[TokenRow]:
    """The tokens that a query asks for."""
    revoked = TokenRow.revoked_at.is_not(None)
    expired = TokenRow.expires_at.is_not(None) & (TokenRow.expires_at <= now)
    listing = Listing(
        TokenQuery,
        {
            "state": states(
                {"valid": ~revoked & ~expired, "expired": ~revoked & expired, "revoked": revoked}
            ),
            "name": part_of(TokenRow.name),
            "scope": _has_one_of,
            "since": since(TokenRow.created_at),
            "until": until(TokenRow.created_at),
        },
        {"created_at": (TokenRow.created_at, TokenRow.id), "name": (TokenRow.name, TokenRow.id)},
        not_about_targets,
    )
    found = listing.page(session, select(TokenRow), query)
    return found.with_items([row[0] for row in found.items])


def _has_one_of(scopes: Collection[str]) -> ColumnElement[bool]:
    separated = literal(" ") + TokenRow.scopes + " "
    return or_(*(separated.contains(f" {scope} ") for scope in scopes))


def owned_by(column: Column) -> Condition:
    """The column has the id of the token that is named, or of one that bears the name."""

    def condition(name: str) -> ColumnElement[bool]:
        these = (TokenRow.id == name) | (TokenRow.name == name)
        return column.in_(select(TokenRow.id).where(these))

    return condition


def lock(session: Session, token_id: str) -> TokenRow | None:
    """A token as it is now, kept from others until this transaction ends."""
    one = select(TokenRow).where(TokenRow.id == token_id).with_for_update(key_share=True)
    return session.scalar(one.execution_options(populate_existing=True))
