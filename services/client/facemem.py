"""The client: everything that the API offers, over one connection."""

from typing import Self

from services.client.calls import Calls
from services.client.faces import Faces
from services.client.keys import Keys
from services.client.removal import Removal
from services.client.results import Results
from services.client.submitting import Submitting
from services.client.webhooks import Webhooks


class Facemem(Submitting, Results, Faces, Removal):
    """A connection to the API at `url`, with a key where the service asks for one.

    Each method is one operation, or one loop over one. All raise ApiError when the API refuses, and Unreachable when it
    is not there. What the service asks to wait for is waited for, within bounds, and a lost connection is made again
    where doing something twice is doing it once. May be used by several threads.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        super().__init__(Calls(url, key))
        self.url = self._calls.url
        self.keys = Keys(self._calls)
        self.webhooks = Webhooks(self._calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._calls.close()
