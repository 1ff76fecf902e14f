"""Which batches a worker may have in hand at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SideBySide:
    """Batches in hand side by side, but for suspects, which are by themselves.

    An image may kill its worker. Then all that the worker had in hand counts as lost, and is tried again: each such
    image by itself, with nothing else in hand that would be lost together with it once more.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = 0
        self._alone = False

    @contextmanager
    def with_others(self) -> Iterator[None]:
        """Waits while something is to be by itself."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until nothing else is in hand; what comes meanwhile waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._at_work)
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
