"""API keys."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from services.api.schemas.keys import CreatedKey, Key
from services.api.schemas.keys import Keys as KeysPage
from services.client.topic import Topic


class Keys(Topic):
    """The keys of a tenant. For callers with the scope `admin`."""

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        expires_in_seconds: int | None = None,
        tenant: str | None = None,
    ) -> CreatedKey:
        """Makes a key. This answer is the only one that shows it."""
        wanted = {"name": name, "scopes": list(scopes), "expires_in_seconds": expires_in_seconds, "tenant": tenant}
        sent = {field: value for field, value in wanted.items() if value is not None}
        return self._calls.post("/v1/keys", CreatedKey, lambda: {"json": sent})

    def all(self) -> Iterator[Key]:
        """Every key, the newest first, without what opens."""
        for page in self._calls.pages("/v1/keys", KeysPage):
            yield from page.keys

    def revoke(self, key_id: UUID | str) -> Key:
        """From now on the key opens nothing. Its entry stays in the list."""
        return self._calls.delete(f"/v1/keys/{key_id}", Key)
