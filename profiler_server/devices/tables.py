"""Rows of targets and devices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.orm import ID, TARGET_ID, Base


class TargetRow(Base):
    """A target; its id is the hash of its identity."""

    __tablename__ = "targets"

    id: Mapped[str] = mapped_column(TARGET_ID, primary_key=True)
    #: `TargetIdentity` as JSON
    identity: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class DeviceRow(Base):
    """A device of an agent."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("agent", "serial"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    agent: Mapped[str] = mapped_column(String(200))
    serial: Mapped[str] = mapped_column(String(200))
    #: `MeasurementProtocol` as JSON
    protocol: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime]
    last_seen: Mapped[datetime]


class DeviceTargetRow(Base):
    """A target that a device can measure, as of its last registration."""

    __tablename__ = "device_targets"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True, index=True)
    #: order in which the agent named them
    position: Mapped[int]
