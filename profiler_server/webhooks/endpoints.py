"""Endpoints of webhooks. A secret stands in the answer that makes or rotates it alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from netspec.wire import (
    Delivery,
    DeliveryQuery,
    MadeWebhook,
    Webhook,
    WebhookQuery,
    WebhookRequest,
    WebhookRotation,
)
from profiler_server.auth.dependencies import JobsWriter
from profiler_server.auth.endpoints import ServerKeyDep
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.webhooks import service

router = APIRouter(prefix="/v1/webhooks", tags=["events"], route_class=Route)

#: nobody may keep an answer that has a secret in it
_NEVER_KEPT = "no-store"


@router.post("", status_code=201)
def create_webhook(
    request: WebhookRequest,
    response: Response,
    database: DatabaseDep,
    settings: SettingsDep,
    key: ServerKeyDep,
    who: JobsWriter,
) -> MadeWebhook:
    """Makes a webhook; its secret is shown this once."""
    response.headers["Cache-Control"] = _NEVER_KEPT
    with database.write() as session:
        return service.make(session, key, request, who, settings.webhook_networks)


@router.get("")
def list_webhooks(
    query: Annotated[WebhookQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    who: JobsWriter,
) -> list[Webhook]:
    """The token's webhooks, or for `admin` everybody's, oldest first."""
    with database.read() as session:
        return paging.answer(service.page(session, query, who))


@router.get("/{webhook_id}")
def get_webhook(webhook_id: str, database: DatabaseDep, who: JobsWriter) -> Webhook:
    """One webhook and how it fares."""
    with database.read() as session:
        return service.get(session, webhook_id, who)


@router.delete("/{webhook_id}", status_code=204)
def delete_webhook(webhook_id: str, database: DatabaseDep, who: JobsWriter) -> None:
    """Deletes a webhook and its deliveries; what is not sent yet is not sent any more."""
    with database.write() as session:
        service.delete(session, webhook_id, who)


@router.post("/{webhook_id}:rotate")
def rotate_webhook(
    webhook_id: str,
    rotation: WebhookRotation,
    response: Response,
    database: DatabaseDep,
    key: ServerKeyDep,
    who: JobsWriter,
) -> MadeWebhook:
    """Gives a webhook another secret, shown this once; the one before signs, too, for a while."""
    response.headers["Cache-Control"] = _NEVER_KEPT
    with database.write() as session:
        return service.rotate(session, key, webhook_id, rotation, who)


@router.post("/{webhook_id}:test", status_code=202)
def test_webhook(webhook_id: str, database: DatabaseDep, who: JobsWriter) -> Delivery:
    """Sends an event of the kind `webhook_tested`; the list of deliveries says how it went."""
    with database.write() as session:
        return service.test(session, webhook_id, who)


@router.post("/{webhook_id}:enable")
def enable_webhook(webhook_id: str, database: DatabaseDep, who: JobsWriter) -> Webhook:
    """Lets a webhook that was disabled get events again, from now on."""
    with database.write() as session:
        return service.enable(session, webhook_id, who)


@router.get("/{webhook_id}/deliveries")
def list_deliveries(
    webhook_id: str,
    query: Annotated[DeliveryQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    who: JobsWriter,
) -> list[Delivery]:
    """What was, or is to be, sent to a webhook, the latest first; for 30 days."""
    with database.read() as session:
        return paging.answer(service.deliveries(session, webhook_id, query, who))
