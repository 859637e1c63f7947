"""Rows of models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, SHA256, Base


class FileKind(StrEnum):
    """What an uploaded file is."""

    #: a `.tflite` file
    MODEL = "model"
    #: packed images, see `netspec.images`
    IMAGES = "images"


class ModelRow(Base):
    """An uploaded file, of a model or of images, wherever its bytes lie."""

    __tablename__ = "models"

    sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    created_at: Mapped[datetime]
    #: that uploaded it first; None of models of before that was kept
    token_id: Mapped[str | None] = mapped_column(ID, index=True)
    #: bytes
    size: Mapped[int] = mapped_column(server_default="0")
    #: a `FileKind`
    kind: Mapped[str] = mapped_column(String(16), server_default=FileKind.MODEL)
    #: None: in the model store that the settings name
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
