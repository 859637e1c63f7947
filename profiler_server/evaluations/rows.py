"""Rows of evaluations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Double, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, Base


class EvaluationRow(Base):
    """What a model gave for one piece of an image set, which is one task; the first stays."""

    __tablename__ = "evaluations"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    lease_id: Mapped[str] = mapped_column(ID)
    stored_at: Mapped[datetime]
    images: Mapped[int]
    #: images whose true class has the greatest logit, and one of the five greatest
    top1: Mapped[int]
    top5: Mapped[int]
    #: logits of an image
    classes: Mapped[int]
    load_ms: Mapped[float | None] = mapped_column(Double)
    peak_memory_mib: Mapped[float | None] = mapped_column(Double)
    #: float32, little-endian, [images, classes]
    logits: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
