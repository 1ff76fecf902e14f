"""The service itself: its models, its limits, and whom it takes the caller for."""

from services.api.schemas import Model, Models
from services.api.schemas.keys import TenantAnswer
from services.api.schemas.limits import Limit, Limits
from services.client.topic import Topic


class Service(Topic):
    """What is to be known of the service."""

    def models(self) -> list[Model]:
        """The model bundles of the service, with their cards."""
        return self._calls.get("/v1/models", Models).models

    def limits(self) -> list[Limit]:
        """Every limit of the service."""
        return self._calls.get("/v1/limits", Limits).limits

    def limit(self, name: str) -> int | None:
        """One of them by its name; None if there is no limit to it."""
        return next(limit.value for limit in self.limits() if limit.name == name)

    def tenant(self) -> TenantAnswer:
        """On whose behalf requests are answered, what they may do, and what is left of the quotas."""
        return self._calls.get("/v1/tenant", TenantAnswer)
