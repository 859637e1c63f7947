"""What of an event is owed to whom: noted with the event, so that neither is without the other."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    column,
    exists,
    insert,
    literal,
    or_,
    select,
    table,
)
from sqlalchemy.orm import Session

from profiler_server.events.rows import (
    DeliveryRow,
    DeliveryState,
    EventKind,
    EventRow,
    WebhookRow,
)
from profiler_server.kit.sql.orm import UtcDateTime

#: of the floors above: whose a job is, and what it is measured on
_JOBS = table("jobs", column("id", String), column("token_id", String))
_JOB_TARGETS = table("job_targets", column("job_id", String), column("target_id", String))

_COLUMNS = ("webhook_id", "event_id", "created_at", "state", "attempts", "next_at", "last_error")


def owe(session: Session, event: EventRow, target_id: str | None) -> None:
    """Notes that an event is to be sent to the webhooks that ask for such.

    Args:
        session: the transaction that makes it happen.
        event: with its id.
        target_id: that it is about, beside those of its job.
    """
    # What a test sends is for one webhook, whatever that asks for.
    if event.kind != EventKind.WEBHOOK_TESTED:
        _owe(session, event, _wants(event, target_id))


def owe_to(session: Session, event: EventRow, webhook_id: str) -> None:
    """Notes that an event is to be sent to this webhook."""
    _owe(session, event, WebhookRow.id == webhook_id)


def _wants(event: EventRow, target_id: str | None) -> ColumnElement[bool]:
    is_own = exists().where(_JOBS.c.id == event.job_id, _JOBS.c.token_id == WebhookRow.token_id)
    is_on = exists().where(
        _JOB_TARGETS.c.job_id == event.job_id, _JOB_TARGETS.c.target_id == WebhookRow.target_id
    )
    return and_(
        WebhookRow.disabled_at.is_(None),
        or_(WebhookRow.kinds == "", WebhookRow.kinds.contains(f" {event.kind} ")),
        or_(WebhookRow.job_id.is_(None), WebhookRow.job_id == event.job_id),
        or_(WebhookRow.target_id.is_(None), WebhookRow.target_id == target_id, is_on),
        or_(WebhookRow.own_jobs_only.is_(False), is_own),
    )


def _owe(session: Session, event: EventRow, which: ColumnElement[bool]) -> None:
    at = literal(event.at, UtcDateTime)
    owed = select(
        WebhookRow.id,
        literal(event.id),
        at,
        literal(DeliveryState.PENDING.value),
        literal(0),
        at,
        literal(""),
    )
    session.execute(insert(DeliveryRow).from_select(_COLUMNS, owed.where(which)))
