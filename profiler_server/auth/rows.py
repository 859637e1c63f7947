"""Rows of tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, SHA256, Base

#: of a token that sees everything
NO_LABELS = "{}"
#: of a token, characters
LONGEST_NAME = 200


class TokenRow(Base):
    """A token; the token itself is not kept, only a keyed hash of it."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    #: HMAC-SHA-256 (hex) under the server's key
    digest: Mapped[str] = mapped_column(SHA256, unique=True)
    #: separated by blanks
    scopes: Mapped[str] = mapped_column(String(200))
    #: JSON object of texts: of the devices and targets that it is limited to
    labels: Mapped[str] = mapped_column(Text, server_default=NO_LABELS)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    #: the hash of the secret before its last rotation
    previous_digest: Mapped[str | None] = mapped_column(SHA256, index=True, unique=True)
    #: until when that secret is taken, too
    previous_until: Mapped[datetime | None]
    #: the token that has made it; None: a command beside the database
    made_by: Mapped[str | None] = mapped_column(ID)
    #: to the minute
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SessionRow(Base):
    """Somebody signed in with a browser; gone when that ends. The secret itself is not kept."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"), index=True)
    #: HMAC-SHA-256 (hex) of the browser's secret, under the server's key
    digest: Mapped[str] = mapped_column(SHA256, unique=True)
    #: what it calls itself
    browser: Mapped[str] = mapped_column(String(200))
    began_at: Mapped[datetime]
    #: to the minute
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class DeviceOwnerRow(Base):
    """The token that a device was registered with."""

    __tablename__ = "device_owners"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"))
