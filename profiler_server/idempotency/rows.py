"""Rows of answers that are kept for repeated requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, SHA256, Base


class RepeatRow(Base):
    """What a request under an `Idempotency-Key` was answered."""

    __tablename__ = "repeats"

    token_id: Mapped[str] = mapped_column(ID, primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    #: SHA-256 of the request's message
    digest: Mapped[str] = mapped_column(SHA256)
    created_at: Mapped[datetime] = mapped_column(index=True)
    #: JSON; empty only within the transaction that answers
    answer: Mapped[str] = mapped_column(Text)
