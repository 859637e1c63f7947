"""Sending what is owed: a task of each server takes deliveries that are due, and notes how it went.

On PostgreSQL servers share them (SKIP LOCKED). A server that is killed has noted nothing, and what
it had taken is taken over after a while: a receiver may get a delivery twice, and knows it by its
id.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from netspec.wire import WebhookMessage
from profiler_server.events.rows import DeliveryState, WebhookRow
from profiler_server.events.service import to_wire
from profiler_server.kit.networks import Network
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.webhooks import repository, service, signing
from profiler_server.webhooks.repository import Due
from profiler_server.webhooks.retries import DISABLED_AFTER, MOST_ATTEMPTS, pause_s
from profiler_server.webhooks.sending import ATTEMPT_S, Sender, SendResult

log = structlog.get_logger()

#: how often (s) a server looks for what is due
_LOOK_EVERY_S = 1.0
#: deliveries that a server sends at a time, in all and to one webhook
_MOST, _MOST_EACH = 32, 4
_UNSEEN = "it is about what the webhook's token, which is limited to labels, sees no more"
#: after so long (s) another server takes a delivery over
TAKEN_S = 3 * ATTEMPT_S
#: how long (s) deliveries under way may take when the server stops
_GRACE_S = 2.0
#: how often (s) ended tokens and old deliveries are looked for, and for how long these are kept
_UPKEEP_EVERY_S, KEPT = 600.0, timedelta(days=30)


@asynccontextmanager
async def delivering(
    database: Database, server_key: bytes, allowed: tuple[Network, ...]
) -> AsyncIterator[None]:
    """Sends, within the block, what is owed to webhooks.

    Args:
        database: of the server.
        server_key: from which secrets are derived.
        allowed: networks that the settings name.
    """
    sender = Sender(allowed)
    deliverer = _Deliverer(database, server_key, sender)
    over = asyncio.Event()
    running = asyncio.create_task(deliverer.run(over))
    try:
        yield
    finally:
        over.set()
        await running
        await sender.close()


class _Deliverer:
    def __init__(self, database: Database, server_key: bytes, sender: Sender) -> None:
        self._database = database
        self._server_key = server_key
        self._sender = sender
        #: deliveries under way, with their webhooks
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._upkeep_at = time.monotonic()

    async def run(self, over: asyncio.Event) -> None:
        """Goes on until it is over."""
        while not over.is_set():
            try:
                await self._look()
            except SQLAlchemyError as error:
                # The database restarts; what is owed stays in it.
                log.warning("cannot look for deliveries", why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _LOOK_EVERY_S)
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _look(self) -> None:
        if time.monotonic() >= self._upkeep_at:
            await run_in_threadpool(self._keep_up)
            self._upkeep_at = time.monotonic() + _UPKEEP_EVERY_S
        if len(self._under_way) == _MOST:
            return
        for due in await run_in_threadpool(self._take):
            task = asyncio.create_task(self._deliver(due))
            self._under_way[task] = due.webhook.id
            task.add_done_callback(self._under_way.pop)

    def _take(self) -> Sequence[Due]:
        most = _MOST - len(self._under_way)
        busy = [one for one, count in Counter(self._under_way.values()).items() if count > 1]
        with self._database.read() as session:
            if not repository.has_due(session, database_now(session)):
                return ()
        with self._database.write() as session:
            now = database_now(session)
            dues = repository.take_due(session, now, most, _MOST_EACH, busy, TAKEN_S)
            return repository.withhold_unseen(session, dues, _UNSEEN)

    async def _deliver(self, due: Due) -> None:
        event = to_wire(due.event)
        message = WebhookMessage(type=event.kind, timestamp=event.at, data=event)
        body = message.model_dump_json().encode()
        # The receiver compares with its own clock.
        at_s = int(time.time())
        name = service.message_id(due.delivery.id)
        sent_at = due.delivery.last_attempt_at or due.event.at
        keys = service.secrets_of(self._server_key, due.webhook, sent_at)
        attempt = await self._sender.send(
            due.webhook.url, body, signing.headers(keys, name, at_s, body)
        )
        log.info(
            "webhook",
            webhook=due.webhook.id,
            message=name,
            status=attempt.status,
            why=attempt.error,
        )
        try:
            await run_in_threadpool(self._note, due, attempt)
        except SQLAlchemyError as error:
            log.warning("cannot note a delivery, which is sent again", why=str(error))

    def _note(self, due: Due, attempt: SendResult) -> None:
        delivery = due.delivery
        with self._database.write() as session:
            now = database_now(session)
            # Webhooks are locked before their deliveries, as when one is deleted.
            row = repository.webhook(session, due.webhook.id, lock=True)
            if row is None:
                return
            values: dict[str, object] = {
                "last_status": attempt.status,
                "last_error": attempt.error[:500],
            }
            if not attempt.error:
                values["state"] = DeliveryState.DELIVERED
            elif delivery.attempts >= MOST_ATTEMPTS:
                values["state"] = DeliveryState.FAILED
            else:
                values["next_at"] = now + timedelta(seconds=pause_s(delivery.attempts))
            if not repository.note(session, delivery.id, delivery.attempts, **values):
                return
            if not attempt.error:
                row.failing_since = None
                return
            row.failing_since = row.failing_since or now
            if row.disabled_at is None and (why := _reason_to_disable(row, attempt, now)):
                service.disable(session, row, why)

    def _keep_up(self) -> None:
        with self._database.write() as session:
            now = database_now(session)
            for row in repository.of_ended_tokens(session, now):
                service.disable(session, row, "its token was revoked or has expired")
            repository.forget(session, now - KEPT)


def _reason_to_disable(row: WebhookRow, attempt: SendResult, now: datetime) -> str:
    if attempt.is_refused_for_ever:
        return "its receiver answered 410, Gone"
    if row.failing_since is not None and now - row.failing_since >= DISABLED_AFTER:
        return f"nothing was delivered for {DISABLED_AFTER.days} days; last: {attempt.error}"[:500]
    return ""
