"""Rows of snapshots and of imported files."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import SHA256, Base


class SnapshotRow(Base):
    """An immutable table, kept as the bytes that are served."""

    __tablename__ = "snapshots"
    __table_args__ = (Index("ix_snapshots_latest", "target_id", "published_at"),)

    #: hash of the content
    id: Mapped[str] = mapped_column(SHA256, primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"))
    created_at: Mapped[datetime]
    #: when this content was last asked to be published: the latest one is served as such
    published_at: Mapped[datetime]
    #: when visits were taken back that it may hold: it is served by its id alone
    withdrawn_at: Mapped[datetime | None]
    #: `Snapshot` as JSON
    document: Mapped[str] = mapped_column(Text)


class SnapshotCalibrationsRow(Base):
    """A snapshot's calibrations alone: its entries may be many times as much.

    Not a column beside the document, behind which SQLite would walk every page of it.
    """

    __tablename__ = "snapshot_calibrations"

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id"), primary_key=True)
    #: as JSON
    calibrations: Mapped[str] = mapped_column(Text)


class ImportRow(Base):
    """A file out of which entries of a target were imported."""

    __tablename__ = "imports"

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    #: of the file
    sha256: Mapped[str] = mapped_column(SHA256, primary_key=True, index=True)
    #: without its folders
    name: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(16))
    #: that was said of all its operators; None: the file names it
    precision: Mapped[str | None] = mapped_column(String(16))
    imported_at: Mapped[datetime]
    #: how many operators and networks it prices
    entries: Mapped[int]
