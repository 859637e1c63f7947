"""What can be asked of a profiler about webhooks."""

from __future__ import annotations

from netspec.client.model_calls import ModelCalls
from netspec.console.short_ids import the_only
from netspec.wire import (
    Delivery,
    DeliveryQuery,
    MadeWebhook,
    Webhook,
    WebhookQuery,
    WebhookRequest,
    WebhookRotation,
)


class WebhookCalls(ModelCalls):
    """`ModelCalls`, and events sent to addresses that ask for them."""

    async def create_webhook(self, request: WebhookRequest) -> MadeWebhook:
        """Makes a webhook; its secret stands in this answer alone."""
        answer = await self._http.ask("POST", "/v1/webhooks", body=request)
        return MadeWebhook.model_validate_json(answer.content)

    async def webhooks(
        self, query: WebhookQuery | None = None, *, most: int | None = None
    ) -> list[Webhook]:
        """The first `most` webhooks that a query asks for; without one all, oldest first.

        They are the token's own, or an administrator's everybody's.
        """
        return await self._all(Webhook, "/v1/webhooks", query, most)

    async def find_webhook(self, beginning: str) -> Webhook:
        """The webhook whose id begins so, with or without `webhook_`.

        Raises:
            UnknownId: none or several fit.
        """
        return the_only(
            "webhook",
            await self.webhooks(),
            beginning,
            "search-client webhooks list",
            names=lambda webhook: [webhook.id],
            label=lambda webhook: webhook.name or webhook.url,
        )

    async def delete_webhook(self, webhook_id: str) -> None:
        """Deletes a webhook; what it has not got yet is not sent any more."""
        await self._http.ask("DELETE", f"/v1/webhooks/{webhook_id}")

    async def rotate_webhook(self, webhook_id: str, overlap_s: float = 86_400.0) -> MadeWebhook:
        """Gives a webhook another secret; the one before signs, too, for so many seconds."""
        rotation = WebhookRotation(overlap_s=overlap_s)
        answer = await self._http.ask("POST", f"/v1/webhooks/{webhook_id}:rotate", body=rotation)
        return MadeWebhook.model_validate_json(answer.content)

    async def test_webhook(self, webhook_id: str) -> Delivery:
        """Has an event sent to a webhook; `deliveries` says how that went."""
        answer = await self._http.ask("POST", f"/v1/webhooks/{webhook_id}:test")
        return Delivery.model_validate_json(answer.content)

    async def enable_webhook(self, webhook_id: str) -> Webhook:
        """Lets a webhook that was disabled get events again, from now on."""
        path = f"/v1/webhooks/{webhook_id}:enable"
        answer = await self._http.ask("POST", path, idempotent=True)
        return Webhook.model_validate_json(answer.content)

    async def deliveries(
        self, webhook_id: str, query: DeliveryQuery | None = None, *, most: int | None = None
    ) -> list[Delivery]:
        """The first `most` deliveries of a webhook that a query asks for, the latest first."""
        return await self._all(Delivery, f"/v1/webhooks/{webhook_id}/deliveries", query, most)
