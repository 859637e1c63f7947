"""Rows of events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import COUNTER, ID, TARGET_ID, Base, one_of


class EventKind(StrEnum):
    """What happened."""

    JOB_CREATED = "job_created"
    JOB_CANCELLED = "job_cancelled"
    #: nothing of it is open any more: all is done, something was given up, or it was cancelled
    JOB_FINISHED = "job_finished"
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
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_DELETED = "webhook_deleted"
    #: it gets no events until it is enabled again
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_ENABLED = "webhook_enabled"
    #: it has another secret
    WEBHOOK_ROTATED = "webhook_rotated"
    #: sent to that webhook alone, on request
    WEBHOOK_TESTED = "webhook_tested"


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


class WebhookRow(Base):
    """An address that events are sent to."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"), index=True)
    url: Mapped[str] = mapped_column(String(2_000))
    #: for people
    name: Mapped[str] = mapped_column(String(200))
    #: separated by blanks, with one at either end; empty: every kind
    kinds: Mapped[str] = mapped_column(Text)
    #: only what is about this job, this target; None: any
    job_id: Mapped[str | None] = mapped_column(ID)
    target_id: Mapped[str | None] = mapped_column(TARGET_ID)
    #: only what is about jobs that its token has filed
    own_jobs_only: Mapped[bool]
    #: its secret is derived from this and the server's key
    salt: Mapped[str] = mapped_column(String(64))
    #: that of before the last rotation, and until when it is used, too
    previous_salt: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    #: since when no delivery has succeeded; None: the last one has
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    #: why, for people; empty: it is enabled
    disabled_reason: Mapped[str] = mapped_column(String(500))


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    #: to be sent, for the first time or again
    PENDING = "pending"
    #: answered with a status of 2xx
    DELIVERED = "delivered"
    #: given up after too many attempts, or because the webhook was disabled
    FAILED = "failed"


class DeliveryRow(Base):
    """An event that is owed to a webhook: noted in the transaction that makes it happen."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id", "webhook_id", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        Index(
            "ix_webhook_deliveries_due",
            "next_at",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    #: no foreign key: whoever notes an event must not fail because a webhook is being deleted
    webhook_id: Mapped[str] = mapped_column(ID)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    created_at: Mapped[datetime]
    state: Mapped[DeliveryState] = mapped_column(one_of(DeliveryState, "state"))
    #: attempts that were begun
    attempts: Mapped[int]
    #: not sent before; while it is being sent: when another server takes it over
    next_at: Mapped[datetime]
    last_attempt_at: Mapped[datetime | None]
    #: HTTP status of the last answer; None: there was none
    last_status: Mapped[int | None]
    #: what went wrong, for people
    last_error: Mapped[str] = mapped_column(String(500))
