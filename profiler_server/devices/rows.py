"""Rows of targets and devices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import ID, TARGET_ID, Base

#: of a device that nobody has labelled
NO_LABELS = "{}"


class TargetRow(Base):
    """A target; its id is the hash of its identity."""

    __tablename__ = "targets"

    id: Mapped[str] = mapped_column(TARGET_ID, primary_key=True)
    #: `TargetIdentity` as JSON
    identity: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    #: that registered it first, or imported it; None: a command beside the database, or before that
    #: was kept
    token_id: Mapped[str | None] = mapped_column(ID)
    #: how many it has; changed under the target's lock together with them
    entries: Mapped[int] = mapped_column(server_default="0")


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
    #: when its agent spoke last
    last_seen: Mapped[datetime]
    #: by when its agent speaks again, or the device is silent; None: it has not spoken yet
    heard_until: Mapped[datetime | None]
    #: JSON object of texts: what jobs select devices by
    labels: Mapped[str] = mapped_column(Text, server_default=NO_LABELS)
    #: since when it gets no work until it is released
    quarantined_at: Mapped[datetime | None]
    quarantine_reason: Mapped[str] = mapped_column(String(2_000), server_default="")
    #: leases in a row that brought no visit
    fruitless: Mapped[int] = mapped_column(server_default="0")
    #: it gets no work before
    rests_until: Mapped[datetime | None]
    #: how tasks can be measured on it, separated by spaces
    methods: Mapped[str] = mapped_column(String(100), server_default="isolated")


class ServerRow(Base):
    """The one row that tells this database from any other; made by the migration."""

    __tablename__ = "server"
    __table_args__ = (CheckConstraint("one = 1", name="one_row"),)

    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(ID)


class DeviceTargetRow(Base):
    """A target that a device can measure, as of its last registration."""

    __tablename__ = "device_targets"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True, index=True)
    #: order in which the agent named them
    position: Mapped[int]
