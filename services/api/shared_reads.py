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
    many they are, at most one thread reads one thing.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: dict[Key, _Read[Answer]] = {}  # not begun: whoever comes may share it
        self._last: dict[Key, _Read[Answer]] = {}

    def read(self, key: Key, find: Callable[[], Answer]) -> Answer:
        """What `find` returns, here or in a thread that asks for the same `key`. Raises what it raises."""
        with self._lock:
            if shared := self._next.get(key):
                mine = None
            else:
                mine = shared = self._next[key] = _Read(self._last.get(key))
                self._last[key] = mine
        if mine:
            self._find(key, mine, find)
        return shared.answer.result()

    def _find(self, key: Key, mine: "_Read[Answer]", find: Callable[[], Answer]) -> None:
        if mine.before:
            mine.before.answer.exception()  # waits until it has ended, well or not
            mine.before = None  # else each would keep all that were before it
        with self._lock:
            del self._next[key]
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
        self.answer: Future[Answer] = Future()
