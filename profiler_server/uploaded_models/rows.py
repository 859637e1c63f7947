"""Rows of models."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import SHA256, Base


class ModelRow(Base):
    """An uploaded `.tflite` file; in the database, so that every replica has it."""

    __tablename__ = "models"

    sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    created_at: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
