"""Rows of models."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, SHA256, Base


class ModelRow(Base):
    """An uploaded `.tflite` file, wherever its bytes lie."""

    __tablename__ = "models"

    sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    created_at: Mapped[datetime]
    #: that uploaded it first; None of models of before that was kept
    token_id: Mapped[str | None] = mapped_column(ID, index=True)
    #: bytes
    size: Mapped[int] = mapped_column(server_default="0")
    #: None: in the model store that the settings name
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
