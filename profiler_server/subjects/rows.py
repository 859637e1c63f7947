"""Rows of subjects."""

from __future__ import annotations

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import SHA256, Base
from profiler_server.subjects.shapes import DIGITS

#: networks and models, as their index says it
IS_WHOLE = text("kind IN ('network', 'model')")


class SubjectRow(Base):
    """Something that was asked to be measured; its name is the first it came with."""

    __tablename__ = "subjects"
    __table_args__ = (
        Index(
            "ix_subjects_whole", "name", "hash", postgresql_where=IS_WHOLE, sqlite_where=IS_WHOLE
        ),
    )

    hash: Mapped[str] = mapped_column(SHA256, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(200))
    precision: Mapped[str | None] = mapped_column(String(16))
    #: `Subject` as JSON
    document: Mapped[str] = mapped_column(Text)
    #: an operator's row of a table that people read, as `shapes.Shape.text`
    shape: Mapped[str | None] = mapped_column(String(DIGITS))
    #: an operator's column, where it has these
    kernel: Mapped[int | None]
    expand: Mapped[int | None]
