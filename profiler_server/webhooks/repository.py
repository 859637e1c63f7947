"""SQL of webhooks and of what is owed to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from netspec.wire import DeliveryQuery, WebhookQuery
from profiler_server.auth.repository import owned_by
from profiler_server.auth.rows import NO_LABELS, TokenRow
from profiler_server.auth.service import reach_of_token
from profiler_server.events import repository as events
from profiler_server.events.rows import DeliveryRow, DeliveryState, EventKind, EventRow, WebhookRow
from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.lists import Listing, any_of, since, states, until
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import not_about_targets

#: deliveries that are looked at for those to be sent next
_MOST_LOOKED_AT = 500


@dataclass(frozen=True)
class Due:
    """A delivery that this server is to send now."""

    delivery: DeliveryRow
    webhook: WebhookRow
    event: EventRow


def count_of(session: Session, token_id: str) -> int:
    """How many webhooks a token has; no other one of its own is made at the same time."""
    session.execute(select(TokenRow.id).where(TokenRow.id == token_id).with_for_update())
    count = select(func.count()).where(WebhookRow.token_id == token_id)
    return session.scalar(count) or 0


def webhook(session: Session, webhook_id: str, *, lock: bool = False) -> WebhookRow | None:
    """A webhook."""
    row = select(WebhookRow).where(WebhookRow.id == webhook_id)
    return session.scalar(row.with_for_update() if lock else row)


def page(session: Session, query: WebhookQuery, token_id: str | None) -> Page[WebhookRow]:
    """The webhooks that a query asks for.

    Args:
        session: a transaction.
        query: which.
        token_id: only this token's; None: everybody's.
    """
    rows = select(WebhookRow)
    if token_id is not None:
        rows = rows.where(WebhookRow.token_id == token_id)
    found = _WEBHOOKS.page(session, rows, query)
    return found.with_items([row[0] for row in found.items])


_DISABLED = WebhookRow.disabled_at.is_not(None)
_FAILING = WebhookRow.failing_since.is_not(None)
_WEBHOOKS = Listing(
    WebhookQuery,
    {
        "state": states(
            {
                "disabled": _DISABLED,
                "failing": ~_DISABLED & _FAILING,
                "working": ~_DISABLED & ~_FAILING,
            }
        ),
        "owner": owned_by(WebhookRow.token_id),
    },
    {"created_at": (WebhookRow.created_at, WebhookRow.id)},
    not_about_targets,
)


def deliveries(
    session: Session, webhook_id: str, query: DeliveryQuery
) -> Page[tuple[DeliveryRow, EventRow]]:
    """The deliveries of a webhook that a query asks for, with their events."""
    rows = select(DeliveryRow, EventRow).join(EventRow, EventRow.id == DeliveryRow.event_id)
    found = _DELIVERIES.page(session, rows.where(DeliveryRow.webhook_id == webhook_id), query)
    return found.with_items([(row[0], row[1]) for row in found.items])


_DELIVERIES = Listing(
    DeliveryQuery,
    {
        "state": any_of(DeliveryRow.state),
        "since": since(DeliveryRow.created_at),
        "until": until(DeliveryRow.created_at),
    },
    {"id": (DeliveryRow.id,)},
    not_about_targets,
)


def newest_delivery(session: Session, webhook_id: str) -> DeliveryRow:
    """The delivery that was noted last."""
    rows = select(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id)
    return session.scalars(rows.order_by(DeliveryRow.id.desc()).limit(1)).one()


def remove(session: Session, webhook_id: str) -> None:
    """Deletes a webhook with its deliveries."""
    session.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id))
    session.execute(delete(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id))


def has_due(session: Session, now: datetime) -> bool:
    """Whether anything may be due; a look that takes no lock."""
    is_due = exists().where(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.next_at <= now)
    return bool(session.scalar(select(is_due)))


def take_due(
    session: Session,
    now: datetime,
    most: int,
    most_each: int,
    busy: Collection[str],
    for_s: float,
) -> Sequence[Due]:
    """Takes deliveries that are due; another server takes those over whose result is not noted.

    Args:
        session: a writing transaction.
        now: by the database's clock.
        most: deliveries.
        most_each: of one webhook: one that does not answer must not hold up the others.
        busy: webhooks of which none is taken.
        for_s: for so long (s) no other server takes them.
    """
    is_due = (DeliveryRow.state == DeliveryState.PENDING) & (DeliveryRow.next_at <= now)
    due = (
        select(DeliveryRow.id, DeliveryRow.webhook_id, DeliveryRow.next_at)
        .join(WebhookRow, WebhookRow.id == DeliveryRow.webhook_id)
        .join(TokenRow, TokenRow.id == WebhookRow.token_id)
        .where(is_due, DeliveryRow.webhook_id.not_in(busy), ~_has_ended(now))
        .order_by(DeliveryRow.next_at, DeliveryRow.id)
        .limit(_MOST_LOOKED_AT)
        .subquery()
    )
    place = func.row_number().over(
        partition_by=due.c.webhook_id, order_by=(due.c.next_at, due.c.id)
    )
    placed = select(due.c.id, place.label("place")).subquery()
    rows = session.execute(
        select(DeliveryRow, WebhookRow, EventRow)
        .join(WebhookRow, WebhookRow.id == DeliveryRow.webhook_id)
        .join(EventRow, EventRow.id == DeliveryRow.event_id)
        .where(
            # Once more, as another server has left them.
            is_due,
            DeliveryRow.id.in_(select(placed.c.id).where(placed.c.place <= most_each)),
        )
        .order_by(DeliveryRow.next_at, DeliveryRow.id)
        .limit(most)
        .with_for_update(of=DeliveryRow, skip_locked=True)
    ).all()
    for delivery, _, _ in rows:
        delivery.attempts += 1
        delivery.last_attempt_at = now
        delivery.next_at = now + timedelta(seconds=for_s)
    return [Due(*row) for row in rows]


def withhold_unseen(session: Session, dues: Sequence[Due], why: str) -> Sequence[Due]:
    """Gives up what a webhook's token does not see any more; the others.

    Args:
        session: the transaction that has taken the deliveries.
        dues: the deliveries.
        why: for people.
    """
    limited = (TokenRow.labels != NO_LABELS) & TokenRow.id.in_(
        {one.webhook.token_id for one in dues}
    )
    rows = session.execute(select(TokenRow.id, TokenRow.labels).where(limited))
    reaches = {token_id: reach_of_token(token_id, labels) for token_id, labels in rows}
    seen = []
    for one in dues:
        reach = reaches.get(one.webhook.token_id)
        if (
            reach is None
            or one.event.kind == EventKind.WEBHOOK_TESTED
            or events.is_seen(session, one.event.id, reach)
        ):
            seen.append(one)
        else:
            one.delivery.state, one.delivery.last_error = DeliveryState.FAILED, why
    return seen


def note(session: Session, delivery_id: int, attempts: int, **values: object) -> bool:
    """Notes what has become of an attempt; False: another server has taken the delivery over."""
    noted = update(DeliveryRow).where(
        DeliveryRow.id == delivery_id,
        DeliveryRow.attempts == attempts,
        DeliveryRow.state == DeliveryState.PENDING,
    )
    return row_count(session.execute(noted.values(**values))) == 1


def give_up(session: Session, webhook_id: str, why: str) -> None:
    """Gives up all that a webhook has not got."""
    of_webhook = DeliveryRow.webhook_id == webhook_id
    session.execute(
        update(DeliveryRow)
        .where(of_webhook, DeliveryRow.state == DeliveryState.PENDING)
        .values(state=DeliveryState.FAILED, last_error=why)
    )


def of_ended_tokens(session: Session, now: datetime) -> Sequence[WebhookRow]:
    """The enabled webhooks whose tokens are valid no more; the transaction has locked them."""
    rows = (
        select(WebhookRow)
        .join(TokenRow, TokenRow.id == WebhookRow.token_id)
        .where(WebhookRow.disabled_at.is_(None), _has_ended(now))
        .order_by(WebhookRow.id)
        .with_for_update(of=WebhookRow, skip_locked=True)
    )
    return session.scalars(rows).all()


def forget(session: Session, before: datetime) -> int:
    """Deletes deliveries of before a time, and those of deleted webhooks; how many that were."""
    old = DeliveryRow.created_at < before
    orphaned = DeliveryRow.webhook_id.not_in(select(WebhookRow.id))
    return row_count(session.execute(delete(DeliveryRow).where(old | orphaned)))


def _has_ended(now: datetime) -> ColumnElement[bool]:
    expired = TokenRow.expires_at.is_not(None) & (TokenRow.expires_at <= now)
    return TokenRow.revoked_at.is_not(None) | expired
