"""Rows of events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import COUNTER, ID, Base, one_of


class EventKind(StrEnum):
    """What happened."""

    JOB_CREATED = "job_created"
    JOB_CANCELLED = "job_cancelled"
    LEASE_CLAIMED = "lease_claimed"
    #: it was not renewed in time; its tasks went back to the queue
    LEASE_EXPIRED = "lease_expired"
    #: its agent claimed another one; its tasks went back to the queue
    LEASE_SUPERSEDED = "lease_superseded"
    LEASE_RELEASED = "lease_released"
    #: given up after too many failures
    TASK_FAILED = "task_failed"
    #: its failed tasks went back to the queue
    JOB_RETRIED = "job_retried"
    DEVICE_LABELLED = "device_labelled"
    #: it gets no work until it is released
    DEVICE_QUARANTINED = "device_quarantined"
    DEVICE_RELEASED = "device_released"
    #: old entries were measured again: they moved, or predictions are off by more than is stated
    TARGET_DRIFTED = "target_drifted"
    #: a device has a new target after an update; what the old one has measured may be carried over
    TRANSFER_OFFERED = "transfer_offered"
    #: kept, but out of all entries
    VISITS_RETRACTED = "visits_retracted"
    #: nothing was measured on it
    TARGET_DELETED = "target_deleted"
    #: with its tasks; what they measured stays
    JOB_DELETED = "job_deleted"
    #: the file; what was measured of it stays
    MODEL_DELETED = "model_deleted"
    #: what runners printed in a month lies in a file
    RAW_ARCHIVED = "raw_archived"
    SNAPSHOT_PUBLISHED = "snapshot_published"
    TOKEN_CREATED = "token_created"  # noqa: S105 - a name
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a name
    #: it has another secret
    TOKEN_ROTATED = "token_rotated"  # noqa: S105 - a name


class EventRow(Base):
    """One event; appended, never changed."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_job_id", "job_id", "id"),
        Index("ix_events_device_id", "device_id", "id"),
        Index("ix_events_kind", "kind", "id"),
        Index("ix_events_at", "at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[EventKind] = mapped_column(one_of(EventKind, "kind"))
    #: what it is about, if it is about one
    job_id: Mapped[str | None] = mapped_column(ID)
    device_id: Mapped[str | None] = mapped_column(ID)
    #: JSON object of ids and values
    data: Mapped[str] = mapped_column(Text)
