"""How many requests a captioner has in flight: as many as was set, or as many as the server makes use of.

Some servers answer one request after the other, and more of them only wait there; others answer dozens in the time of
one. Without a number the gate finds out: it doubles what it lets through while answers come faster for it, and goes
back when they do not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic

MOST = 64  # Ollama refuses a request when 512 wait; some workers may share it
WORTH = 1.2  # so many times the answers a second are worth twice the requests in flight
ROUND = 3  # a try lasts for so many answers for each request in flight
AGAIN = 50  # tries after which it is found out anew: models and neighbours change


class Gate:
    """Lets threads through, some at once."""

    def __init__(self, at_once: int | None = None) -> None:
        """`at_once` fixes the number; None finds it."""
        self._fixed = at_once is not None
        self.at_once = at_once or 1
        self._inside = self._waiting = 0
        self._before = 1  # the number before the one that is tried
        self._best = 0.0  # answers a second with it
        self._settled = 0  # tries left until it is found out anew; 0 while it is being found out
        self._answers, self._since = 0, monotonic()
        self._free = Condition()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait for a place, and have it for the block. A block that raises is no answer."""
        with self._free:
            self._waiting += 1
            self._free.wait_for(self._has_place)
            self._waiting -= 1
            self._inside += 1
        try:
            yield
            self._answered()
        finally:
            with self._free:
                self._inside -= 1
                self._free.notify()

    def _has_place(self) -> bool:
        return self._inside < self.at_once

    def _restart(self) -> None:
        self._answers, self._since = 0, monotonic()

    def _answered(self) -> None:
        with self._free:
            if not self._waiting:
                self._restart()  # places are free, so what comes now tells nothing of how many it takes
                return
            self._answers += 1
            if self._fixed or self._answers < ROUND * self.at_once:
                return
            rate = self._answers / max(monotonic() - self._since, 1e-6)
            self._restart()
            if self._settled:
                self._settled -= 1
                if not self._settled:  # from half as many, because fewer may have become enough
                    self._best, self.at_once = 0.0, max(1, self.at_once // 2)
                return
            self._decide(rate)
            self._free.notify_all()

    def _decide(self, rate: float) -> None:
        """Go on with twice as many, or back to the number before."""
        if rate >= WORTH * self._best:
            self._best, self._before = rate, self.at_once
            if self.at_once < MOST:
                self.at_once = min(2 * self.at_once, MOST)
                return
        self.at_once, self._settled = self._before, AGAIN
