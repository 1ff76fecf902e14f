"""Reads that are shared: who asks while one is under way gets the next, and never what was found before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event
from time import monotonic, sleep

import pytest

from services.api.shared_reads import SharedReads

SECONDS = 10.0


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + SECONDS
    while not true():
        assert monotonic() < end
        sleep(0.005)


class Store:
    """Something that changes. A read of it takes until it is let go."""

    def __init__(self) -> None:
        self.value, self.reads, self.let_go = 0, 0, Event()

    def read(self) -> int:
        self.reads += 1
        found = self.value
        assert self.let_go.wait(SECONDS)
        return found


def held(reads: SharedReads[str, int], store: Store, pool: ThreadPoolExecutor, key: str = "a") -> Future[int]:
    """A read that has begun and is under way."""
    before = store.reads
    asked = pool.submit(reads.read, key, store.read)
    until(lambda: store.reads > before)
    return asked


def test_those_who_come_during_a_read_share_the_next() -> None:
    reads, store = SharedReads[str, int](), Store()
    with ThreadPoolExecutor(9) as pool:
        first = held(reads, store, pool)
        store.value = 1  # too late for the first read: whoever comes now has to see it
        later = [pool.submit(reads.read, "a", store.read) for _ in range(8)]
        sleep(0.1)
        assert store.reads == 1
        store.let_go.set()
        assert first.result(SECONDS) == 0
        assert {asked.result(SECONDS) for asked in later} == {1}
    # One for all that came meanwhile; a thread that was slow to come may have needed one more.
    assert store.reads <= 3
    assert reads.read("a", lambda: 7) == 7
    assert not reads._last


def test_what_is_asked_for_under_another_key_does_not_wait() -> None:
    reads, store = SharedReads[str, int](), Store()
    with ThreadPoolExecutor(2) as pool:
        first = held(reads, store, pool)
        assert pool.submit(reads.read, "b", lambda: 5).result(SECONDS) == 5
        assert not first.done()
        store.let_go.set()
        assert first.result(SECONDS) == 0


def test_an_error_is_told_to_all_who_shared_the_read_and_ends_with_it() -> None:
    reads, store = SharedReads[str, int](), Store()

    def failing() -> int:
        raise KeyError("gone")

    with ThreadPoolExecutor(4) as pool:
        first = held(reads, store, pool)
        later = [pool.submit(reads.read, "a", failing) for _ in range(3)]
        sleep(0.1)
        store.let_go.set()
        assert first.result(SECONDS) == 0
        for asked in later:
            with pytest.raises(KeyError):
                asked.result(SECONDS)
    assert reads.read("a", lambda: 7) == 7


def test_after_a_read_that_failed_comes_the_next() -> None:
    reads, store = SharedReads[str, int](), Store()

    def failing() -> int:
        store.read()
        raise KeyError("gone")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(reads.read, "a", failing)
        until(lambda: store.reads == 1)
        second = pool.submit(reads.read, "a", lambda: 7)
        store.let_go.set()
        with pytest.raises(KeyError):
            first.result(SECONDS)
        assert second.result(SECONDS) == 7


def test_nobody_is_given_what_was_read_before_they_asked() -> None:
    """Threads that change a value and read it back at once, many times over."""
    reads, values = SharedReads[str, list[int]](), [0] * 6
    begin = Barrier(len(values))

    def changing(mine: int) -> None:
        begin.wait(SECONDS)
        for number in range(300):
            values[mine] = number
            assert reads.read("a", lambda: list(values))[mine] == number

    with ThreadPoolExecutor(len(values)) as pool:
        for asked in [pool.submit(changing, mine) for mine in range(len(values))]:
            asked.result(60)
    assert not reads._last
