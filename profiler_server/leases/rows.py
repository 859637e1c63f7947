"""Rows of leases."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import COUNTER, ID, Base, one_of


class LeaseState(StrEnum):
    """How an attempt stands."""

    #: its agent is at it
    LIVE = "live"
    #: its agent handed it back
    RELEASED = "released"
    #: its agent did not renew it in time
    EXPIRED = "expired"
    #: its agent claimed another one
    SUPERSEDED = "superseded"


class LeaseRow(Base):
    """An attempt of one device at a batch of tasks."""

    __tablename__ = "leases"
    __table_args__ = (
        Index(
            "uq_leases_live_device",
            "device_id",
            unique=True,
            postgresql_where=text("state = 'live'"),
            sqlite_where=text("state = 'live'"),
        ),
        {"sqlite_autoincrement": True},
    )

    #: grows with every claim
    fence: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    id: Mapped[str] = mapped_column(ID, unique=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"))
    state: Mapped[LeaseState] = mapped_column(one_of(LeaseState, "state"))
    claimed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    #: what it covers, see `coverage`; None of leases made before that was kept
    subjects: Mapped[bytes | None] = mapped_column(LargeBinary)
