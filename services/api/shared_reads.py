"""One answer for all who ask for the same thing at about the same time."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class SharedReads(Generic[Key, Answer]):
    """Many clients watch one job. Each gets what was read after it had asked, so nobody sees less than what was
    committed by then; but those who ask while a read is under way wait for it to end, and share the next one. However
    many they are, at most one thread of this process reads one thing.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: dict[Key, _Read[Answer]] = {}  # the newest of each key, until it has ended

    def read(self, key: Key, find: Callable[[], Answer]) -> Answer:
        """What `find` returns, here or in a thread that asks for the same `key`. Raises what it raises."""
        with self._lock:
            last = self._last.get(key)
            if joined := last is not None and not last.begun:
                read = last
            else:
                read = self._last[key] = _Read(last)
        if not joined:
            self._find(key, read, find)
        return read.answer.result()

    def _find(self, key: Key, mine: "_Read[Answer]", find: Callable[[], Answer]) -> None:
        if mine.before:
            mine.before.answer.exception()  # waits until it has ended, well or not
            mine.before = None  # else each would keep all that were before it
        with self._lock:
            mine.begun = True  # who comes from here on comes too late for it
        try:
            mine.answer.set_result(find())
        except BaseException as error:
            mine.answer.set_exception(error)
        with self._lock:
            if self._last[key] is mine:
                del self._last[key]


class _Read(Generic[Answer]):
    """A read that somebody makes, after the one `before` it."""

    def __init__(self, before: "_Read[Answer] | None") -> None:
        self.before = before
        self.begun = False
        self.answer: Future[Answer] = Future()
