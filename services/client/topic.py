"""What the parts of the client have in common."""

from services.client.calls import Calls


class Topic:
    """Some operations of the API. `Facemem` is all of them over one connection."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
