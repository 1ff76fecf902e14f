"""Webhooks: who is told of events, and what became of them."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from services.api.schemas.webhooks import Deliveries, DeliveryEntry, WebhookEntry, WebhookSecret
from services.api.schemas.webhooks import Webhooks as WebhookList
from services.client.topic import Topic


class Webhooks(Topic):
    """The webhooks of a tenant. For callers with the scope `admin`."""

    def create(self, url: str, events: Sequence[str] = (), *, secret: str | None = None) -> WebhookSecret:
        """Has an address told of these events, or of all. The answer is the only one that shows its secret."""
        sent = {"url": url} | ({"events": list(events)} if events else {}) | ({"secret": secret} if secret else {})
        return self._calls.post("/v1/webhooks", WebhookSecret, lambda: {"json": sent})

    def all(self) -> list[WebhookEntry]:
        """Every webhook, the oldest first."""
        return self._calls.get("/v1/webhooks", WebhookList).webhooks

    def webhook(self, webhook_id: UUID | str) -> WebhookEntry:
        """One webhook."""
        return self._calls.get(f"/v1/webhooks/{webhook_id}", WebhookEntry)

    def change(
        self,
        webhook_id: UUID | str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> WebhookEntry:
        """Changes what is named; with `enabled` turns it off, or on again after it was given up."""
        wanted = {"url": url, "events": None if events is None else list(events), "enabled": enabled}
        changes = {name: value for name, value in wanted.items() if value is not None}
        return self._calls.patch(f"/v1/webhooks/{webhook_id}", WebhookEntry, changes)

    def delete(self, webhook_id: UUID | str) -> None:
        """It is told of nothing more."""
        self._calls.drop(f"/v1/webhooks/{webhook_id}")

    def rotate(self, webhook_id: UUID | str, *, secret: str | None = None) -> WebhookSecret:
        """From now on deliveries are signed with a new secret, which this answer shows."""
        sent = {"secret": secret} if secret else {}
        return self._calls.post(f"/v1/webhooks/{webhook_id}/rotate", WebhookSecret, lambda: {"json": sent})

    def test(self, webhook_id: UUID | str) -> DeliveryEntry:
        """Sends it an event of the type `webhook.test`."""
        return self._calls.post(f"/v1/webhooks/{webhook_id}/test", DeliveryEntry)

    def deliveries(self, webhook_id: UUID | str) -> Iterator[DeliveryEntry]:
        """What it was told, the newest first, each event with every try to deliver it."""
        for page in self._calls.pages(f"/v1/webhooks/{webhook_id}/deliveries", Deliveries):
            yield from page.deliveries

    def redeliver(self, webhook_id: UUID | str, delivery_id: UUID | str) -> DeliveryEntry:
        """Sends an event once more, with the same id."""
        return self._calls.post(f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", DeliveryEntry)
