"""Rows of snapshots."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
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
