"""Rows of what rechecks have found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import Base


class VerdictRow(Base):
    """What the last judged recheck of a target has found."""

    __tablename__ = "drift_verdicts"

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    #: whose visits it is about
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[datetime]
    is_alarming: Mapped[bool]
    #: `verdicts.TableVerdict` as JSON
    verdict: Mapped[str] = mapped_column(Text)
