"""Rows of what runs without pause."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, Base


class SustainedRow(Base):
    """The windows of one task; of one that is not done, those that came so far."""

    __tablename__ = "sustained"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    lease_id: Mapped[str] = mapped_column(ID)
    stored_at: Mapped[datetime]
    #: a JSON list of `Window`, in order
    windows: Mapped[str] = mapped_column(Text)
