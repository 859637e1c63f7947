"""Webhooks made, shown, rotated and deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from netspec.wire import (
    Delivery,
    DeliveryQuery,
    MadeWebhook,
    Owner,
    Webhook,
    WebhookQuery,
    WebhookRequest,
    WebhookRotation,
)
from profiler_server.auth import repository as auth
from profiler_server.auth.ownership import require_owner
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal
from profiler_server.devices import service as devices
from profiler_server.events import outbox
from profiler_server.events import repository as events
from profiler_server.events.rows import DeliveryRow, EventKind, EventRow, WebhookRow
from profiler_server.jobs import service as jobs
from profiler_server.kit.ids import new_id
from profiler_server.kit.networks import Network
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.webhooks import repository, signing
from profiler_server.webhooks.addresses import check_url

#: of one token: each event is noted once more for each that wants it
MOST_WEBHOOKS = 20


def make(
    session: Session,
    server_key: bytes,
    request: WebhookRequest,
    who: Principal,
    allowed: tuple[Network, ...],
) -> MadeWebhook:
    """Makes a webhook; one of no administrator gets only what is about jobs of its own token.

    Args:
        session: a writing transaction.
        server_key: the server's key.
        request: what it is to get, and where.
        who: asks.
        allowed: networks that the settings name.

    Raises:
        Problem: `invalid-request`, `unknown-job`, `not-the-owner`, `unknown-target` or
            `too-many-webhooks`.
    """
    check_url(request.url, allowed)
    _refuse_unknown_kinds(request.kinds)
    if request.job_id is not None:
        jobs.require_own(session, request.job_id, who)
    if request.target_id is not None:
        devices.require_target(session, request.target_id)
    if (count := repository.count_of(session, who.token_id)) >= MOST_WEBHOOKS:
        raise Problem(
            "too-many-webhooks",
            f"the token has {count} webhooks, as many as it may; delete one with DELETE "
            "/v1/webhooks/ID, or let one get more kinds of events",
        )
    now = database_now(session)
    row = WebhookRow(
        id=new_id("webhook"),
        token_id=who.token_id,
        url=request.url,
        name=request.name,
        kinds=f" {' '.join(dict.fromkeys(request.kinds))} " if request.kinds else "",
        job_id=request.job_id,
        target_id=request.target_id,
        own_jobs_only=Scope.ADMIN not in who.scopes,
        salt=signing.new_salt(),
        created_at=now,
        disabled_reason="",
    )
    # First: that it was made is no news to it.
    events.append(session, now, EventKind.WEBHOOK_CREATED, webhook_id=row.id, by=who.token_id)
    session.add(row)
    session.flush()
    return _made(session, server_key, row)


def page(session: Session, query: WebhookQuery, who: Principal) -> Page[Webhook]:
    """The webhooks that a query asks for: the token's own, or for `admin` everybody's.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    found = repository.page(session, query, None if Scope.ADMIN in who.scopes else who.token_id)
    names = auth.names(session, {row.token_id for row in found.items})
    return found.with_items([_to_wire(row, names) for row in found.items])


def get(session: Session, webhook_id: str, who: Principal) -> Webhook:
    """One webhook.

    Raises:
        Problem: `unknown-webhook` or `not-the-owner`.
    """
    return _shown(session, _require_own(session, webhook_id, who))


def delete(session: Session, webhook_id: str, who: Principal) -> None:
    """Deletes a webhook; what it has not got yet is not sent any more.

    Raises:
        Problem: `unknown-webhook` or `not-the-owner`.
    """
    _require_own(session, webhook_id, who, lock=True)
    repository.remove(session, webhook_id)
    now = database_now(session)
    events.append(session, now, EventKind.WEBHOOK_DELETED, webhook_id=webhook_id, by=who.token_id)


def rotate(
    session: Session, server_key: bytes, webhook_id: str, rotation: WebhookRotation, who: Principal
) -> MadeWebhook:
    """Gives a webhook another secret; what is sent is signed with both for a while.

    Raises:
        Problem: `unknown-webhook` or `not-the-owner`.
    """
    row, now = _require_own(session, webhook_id, who, lock=True), database_now(session)
    overlaps = rotation.overlap_s > 0
    row.previous_salt = row.salt if overlaps else None
    row.previous_until = now + timedelta(seconds=rotation.overlap_s) if overlaps else None
    row.salt = signing.new_salt()
    events.append(session, now, EventKind.WEBHOOK_ROTATED, webhook_id=row.id, by=who.token_id)
    return _made(session, server_key, row)


def enable(session: Session, webhook_id: str, who: Principal) -> Webhook:
    """Lets a webhook that was disabled get events again, from now on; may be repeated.

    Raises:
        Problem: `unknown-webhook` or `not-the-owner`.
    """
    row, now = _require_own(session, webhook_id, who, lock=True), database_now(session)
    if row.disabled_at is not None:
        row.disabled_at, row.disabled_reason, row.failing_since = None, "", None
        events.append(session, now, EventKind.WEBHOOK_ENABLED, webhook_id=row.id, by=who.token_id)
    return _shown(session, row)


def disable(session: Session, row: WebhookRow, why: str) -> None:
    """Disables a webhook, whose row the transaction has locked, and says so in an event."""
    now = database_now(session)
    row.disabled_at, row.disabled_reason = now, why
    repository.give_up(session, row.id, f"the webhook was disabled: {why}")
    events.append(session, now, EventKind.WEBHOOK_DISABLED, webhook_id=row.id, reason=why)


def test(session: Session, webhook_id: str, who: Principal) -> Delivery:
    """Notes a delivery for this webhook alone, whatever it asks for, and even if it is disabled.

    Raises:
        Problem: `unknown-webhook` or `not-the-owner`.
    """
    row, now = _require_own(session, webhook_id, who), database_now(session)
    event = events.append(
        session, now, EventKind.WEBHOOK_TESTED, webhook_id=row.id, by=who.token_id
    )
    outbox.owe_to(session, event, row.id)
    return _delivery(repository.newest_delivery(session, row.id), event)


def deliveries(
    session: Session, webhook_id: str, query: DeliveryQuery, who: Principal
) -> Page[Delivery]:
    """What was, or is to be, sent to a webhook, by default the latest first.

    Raises:
        Problem: `unknown-webhook`, `not-the-owner`, or `bad-request`: the cursor is not one of this
            list.
    """
    _require_own(session, webhook_id, who)
    found = repository.deliveries(session, webhook_id, query)
    return found.with_items([_delivery(*row) for row in found.items])


def message_id(delivery_id: int) -> str:
    """What names a delivery to its receiver, the same at each attempt."""
    return f"msg_{delivery_id}"


def secrets_of(server_key: bytes, row: WebhookRow, now: datetime) -> list[bytes]:
    """The secrets that sign what is sent now, the newest first."""
    salts = [row.salt]
    if row.previous_salt and row.previous_until is not None and row.previous_until > now:
        salts.append(row.previous_salt)
    return [signing.secret(server_key, salt) for salt in salts]


def _refuse_unknown_kinds(kinds: tuple[str, ...]) -> None:
    unknown = sorted(set(kinds) - set(EventKind))
    if unknown:
        raise Problem(
            "invalid-request",
            f"body.kinds: no event is called {', '.join(unknown)}; there are: "
            f"{', '.join(EventKind)}",
        )


def _require_own(
    session: Session, webhook_id: str, who: Principal, *, lock: bool = False
) -> WebhookRow:
    row = repository.webhook(session, webhook_id, lock=lock)
    if row is None:
        raise Problem("unknown-webhook", f"no webhook {webhook_id!r}; GET /v1/webhooks lists them")
    require_owner(who, row.token_id, f"webhook {webhook_id}")
    return row


def _made(session: Session, server_key: bytes, row: WebhookRow) -> MadeWebhook:
    secret = signing.shown(signing.secret(server_key, row.salt))
    return MadeWebhook(secret=secret, webhook=_shown(session, row))


def _shown(session: Session, row: WebhookRow) -> Webhook:
    return _to_wire(row, auth.names(session, {row.token_id}))


def _to_wire(row: WebhookRow, names: dict[str, str]) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        name=row.name,
        kinds=tuple(row.kinds.split()),
        job_id=row.job_id,
        target_id=row.target_id,
        own_jobs_only=row.own_jobs_only,
        owner=Owner(token_id=row.token_id, name=names[row.token_id]),
        created_at=row.created_at,
        previous_until=row.previous_until,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
    )


def _delivery(row: DeliveryRow, event: EventRow) -> Delivery:
    return Delivery(
        id=row.id,
        message_id=message_id(row.id),
        event_id=event.id,
        kind=event.kind,
        state=row.state.value,
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at,
        last_attempt_at=row.last_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
    )
