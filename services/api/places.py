"""Requests that keep a thread for long: so many at a time in each process, so that the others find one."""

from collections.abc import Callable
from threading import BoundedSemaphore


class Places:
    """A number of places."""

    def __init__(self, number: int) -> None:
        self._free = BoundedSemaphore(number)

    def take(self) -> Callable[[], None] | None:
        """Take a place; what is returned gives it back, however often it is called. None if all are taken."""
        if not self._free.acquire(blocking=False):
            return None
        taken = [self._free.release]
        return lambda: taken.pop()() if taken else None
