"""Rows of visits and entries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, SHA256, Base
from profiler_server.subjects.shapes import DIGITS


class RetractionRow(Base):
    """Visits that were taken back together; appended, never changed."""

    __tablename__ = "retractions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[datetime]
    #: None: a command beside the database
    token_id: Mapped[str | None] = mapped_column(ForeignKey("tokens.id"))
    reason: Mapped[str] = mapped_column(String(500))
    #: `VisitChoice` as JSON
    choice: Mapped[str] = mapped_column(Text)
    #: how many
    visits: Mapped[int]


class RawArchiveRow(Base):
    """What runners printed in a month: moved from its visits into a file."""

    __tablename__ = "raw_archives"

    #: in which the visits were stored, as in `2026-09`
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    at: Mapped[datetime]
    #: its name, without the folder
    file: Mapped[str] = mapped_column(String(200))
    #: of the file
    sha256: Mapped[str] = mapped_column(SHA256)
    #: how many had printed anything
    visits: Mapped[int]
    #: bytes that these printed
    raw_bytes: Mapped[int] = mapped_column(BigInteger)
    #: when the last of it had left the database; None: that was interrupted
    cleared_at: Mapped[datetime | None]


class VisitRow(Base):
    """One visit; appended, never changed but for being taken back, and what its runner printed."""

    __tablename__ = "visits"
    __table_args__ = (
        Index("ix_visits_subject", "target_id", "subject_hash", "stored_at"),
        Index("ix_visits_task_id", "task_id"),
        Index("ix_visits_device_id", "device_id", "started_at"),
        Index(
            "ix_visits_rejected",
            "device_id",
            "started_at",
            postgresql_where=text("rejected <> ''"),
            sqlite_where=text("rejected <> ''"),
        ),
        Index(
            "ix_visits_profiled",
            "target_id",
            postgresql_where=text("profile IS NOT NULL"),
            sqlite_where=text("profile IS NOT NULL"),
        ),
        Index(
            "ix_visits_taken_back",
            "target_id",
            "retraction_id",
            "subject_hash",
            postgresql_where=text("retraction_id IS NOT NULL"),
            sqlite_where=text("retraction_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    #: SHA-256 of the message: tells a repeated upload from another visit under the same id
    digest: Mapped[str] = mapped_column(SHA256)
    #: no foreign key: a visit is true whatever becomes of its task
    task_id: Mapped[str] = mapped_column(String(200))
    #: that it was made under; None of visits stored before leases were sent
    lease_id: Mapped[str | None] = mapped_column(ID)
    #: that it was uploaded with; None of visits stored before that was kept
    token_id: Mapped[str | None] = mapped_column(ID)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"))
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"))
    round: Mapped[int]
    #: by the agent's clock
    started_at: Mapped[datetime]
    #: by the database's clock
    stored_at: Mapped[datetime]
    count: Mapped[int]
    min_us: Mapped[float] = mapped_column(Double)
    p5_us: Mapped[float] = mapped_column(Double)
    median_us: Mapped[float] = mapped_column(Double)
    p95_us: Mapped[float] = mapped_column(Double)
    mean_us: Mapped[float] = mapped_column(Double)
    std_us: Mapped[float] = mapped_column(Double)
    #: `Conditions` as JSON
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    #: why it must not enter an estimate, empty if it may
    rejected: Mapped[str] = mapped_column(String(500))
    #: what the runner printed; empty once its month is archived, see `RawArchiveRow`
    raw: Mapped[str] = mapped_column(Text)
    #: `Profile` as JSON, where the visit has one
    profile: Mapped[str | None] = mapped_column(Text)
    #: with which it was taken back
    retraction_id: Mapped[str | None] = mapped_column(ID)
    #: what `raw` says of the launch, so that it outlives an archive; None where it does not
    load_ms: Mapped[float | None] = mapped_column(Double)
    first_inference_ms: Mapped[float | None] = mapped_column(Double)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)


#: of the visits that enter estimates
ACCEPTED = (VisitRow.rejected == "") & VisitRow.retraction_id.is_(None)


class EntryRow(Base):
    """What the accepted visits of one subject on one target say; derived, never edited.

    Or what a published table says: then it is imported, and has no visits.
    """

    __tablename__ = "entries"
    __table_args__ = (
        Index("ix_entries_shape", "target_id", "shape", "kernel", "expand"),
        Index(
            "ix_entries_disagreement",
            "target_id",
            "disagreement_percent",
            postgresql_where=text("disagreement_percent IS NOT NULL"),
            sqlite_where=text("disagreement_percent IS NOT NULL"),
        ),
        Index(
            "ix_entries_held_back",
            "target_id",
            postgresql_where=text("held_back"),
            sqlite_where=text("held_back = 1"),
        ),
        # Not by target first: SQLite would take it for all that asks for a target's entries.
        Index("ix_entries_written", "written_at", "target_id"),
        Index(
            "ix_entries_whole",
            "subject_hash",
            postgresql_where=text("shape IS NULL"),
            sqlite_where=text("shape IS NULL"),
        ),
    )

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"), primary_key=True)
    method: Mapped[str] = mapped_column(String(16))
    value_ms: Mapped[float] = mapped_column(Double)
    low_ms: Mapped[float] = mapped_column(Double)
    high_ms: Mapped[float] = mapped_column(Double)
    visits: Mapped[int]
    measured_at: Mapped[datetime]
    #: by the database's clock; None: by a version that did not keep it
    written_at: Mapped[datetime | None]
    #: the target that it was filled in from, where it is fitted
    fitted_from: Mapped[str | None] = mapped_column(String(16))
    #: how many devices its visits are of
    devices: Mapped[int] = mapped_column(server_default="1")
    #: by how much the highest of the devices' own estimates exceeds the lowest
    disagreement_percent: Mapped[float | None] = mapped_column(Double)
    #: its devices are not of one mind: it is shown and not used
    held_back: Mapped[bool] = mapped_column(server_default=false())
    #: the subject's, so that a large table is read in their order
    shape: Mapped[str | None] = mapped_column(String(DIGITS))
    kernel: Mapped[int | None]
    expand: Mapped[int | None]
    #: medians over the accepted visits of the subject by itself; None where none says so
    median_ms: Mapped[float | None] = mapped_column(Double)
    p95_ms: Mapped[float | None] = mapped_column(Double)
    std_ms: Mapped[float | None] = mapped_column(Double)
    load_ms: Mapped[float | None] = mapped_column(Double)
    first_inference_ms: Mapped[float | None] = mapped_column(Double)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    #: `EnergyValue` as JSON, by the meter that tells the target's table; None: not measured
    energy: Mapped[str | None] = mapped_column(Text)


class DeviceEstimateRow(Base):
    """One device's share of an entry; derived, never edited."""

    __tablename__ = "device_estimates"

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    value_ms: Mapped[float] = mapped_column(Double)
    low_ms: Mapped[float] = mapped_column(Double)
    high_ms: Mapped[float] = mapped_column(Double)
    visits: Mapped[int]
    measured_at: Mapped[datetime]
    #: 5th percentiles (us) of the accepted visits, ascending, as little-endian float64: what the
    #: estimate needs of them, so that an upload need not read them again
    p5_us: Mapped[bytes] = mapped_column(LargeBinary)
    #: median, 95th percentile and standard deviation (us) of the runs of the accepted visits, [3,
    #: visits], each row ascending, as little-endian float64; None: derived by a version that did
    #: not keep them
    spreads_us: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: load time (ms), first inference (ms) and peak memory (bytes) of the accepted visits, [3,
    #: visits], each row ascending, as little-endian float64, NaN where a visit does not say; None:
    #: derived by a version that did not keep them
    launches: Mapped[bytes | None] = mapped_column(LargeBinary)


class ProfiledNetworkRow(Base):
    """What one device's profiles of one network say of its positions; derived, never edited."""

    __tablename__ = "profiled_networks"

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    #: hash of each position's operator, separated by spaces
    operators: Mapped[str] = mapped_column(Text)
    #: what they took, us [positions, visits], each row ascending, as little-endian float64, so that
    #: an upload need not read visits again
    operators_us: Mapped[bytes] = mapped_column(LargeBinary)
    #: value, low and high of each position, ms [positions, 3], as little-endian float64
    places_ms: Mapped[bytes] = mapped_column(LargeBinary)
    visits: Mapped[int]
    #: start of the latest visit
    measured_at: Mapped[datetime]


class InNetworkEstimateRow(Base):
    """What the profiles of networks say of an operator in them; derived, never edited."""

    __tablename__ = "in_network_estimates"

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"), primary_key=True)
    value_ms: Mapped[float] = mapped_column(Double)
    low_ms: Mapped[float] = mapped_column(Double)
    high_ms: Mapped[float] = mapped_column(Double)
    #: profiles with the operator
    visits: Mapped[int]
    #: places in different networks
    appearances: Mapped[int]
    #: how many devices the profiles are of
    devices: Mapped[int]
    measured_at: Mapped[datetime]
    #: these devices are not of one mind
    held_back: Mapped[bool] = mapped_column(server_default=false())
