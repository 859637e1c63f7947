"""Rows of energies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Double, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, Base


class EnergyMeasurementRow(Base):
    """What one task's windows gave; appended, never changed but for being taken back."""

    __tablename__ = "energy_measurements"
    __table_args__ = (
        Index("ix_energy_measurements_subject", "target_id", "subject_hash", "stored_at"),
    )

    #: no foreign key: what was measured is true whatever becomes of its task
    task_id: Mapped[str] = mapped_column(ID, primary_key=True)
    lease_id: Mapped[str] = mapped_column(ID)
    #: that it was uploaded with
    token_id: Mapped[str | None] = mapped_column(ID)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), index=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"))
    #: of the operator, network or model
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"))
    stored_at: Mapped[datetime]
    #: its name: method and rails
    meter: Mapped[str] = mapped_column(String(200))
    #: `EnergyEstimate` as JSON
    estimate: Mapped[str] = mapped_column(Text)
    #: `EnergyUpload` as JSON
    windows: Mapped[str] = mapped_column(Text)
    #: with which it was taken back
    retraction_id: Mapped[str | None] = mapped_column(ID)


class EnergyRow(Base):
    """What the measurements of one subject on one target by one meter say; derived."""

    __tablename__ = "energies"
    __table_args__ = (
        Index(
            "ix_energies_served",
            "target_id",
            "subject_hash",
            postgresql_where=text("served"),
            sqlite_where=text("served = 1"),
        ),
    )

    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True)
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"), primary_key=True)
    meter: Mapped[str] = mapped_column(String(200), primary_key=True)
    value_mj: Mapped[float] = mapped_column(Double)
    measured_at: Mapped[datetime]
    #: `EnergyValue` as JSON
    document: Mapped[str] = mapped_column(Text)
    #: whether its meter is the one by which the target's table is told
    served: Mapped[bool] = mapped_column(server_default=false())
