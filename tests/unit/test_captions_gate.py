"""How many requests a captioner has in flight."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Semaphore
from time import sleep

import pytest

from shared.captions.gate import MOST, Gate

SECONDS = 0.02  # for one answer
REQUESTS = 1200


class Server:
    """Answers so many requests at once, each in the same time; the others wait."""

    def __init__(self, able: int) -> None:
        self._places, self._lock = Semaphore(able), Lock()
        self.inside = self.most = 0

    def ask(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        with self._places:
            sleep(SECONDS)
        with self._lock:
            self.inside -= 1


def through(gate: Gate, server: Server, requests: int) -> None:
    def ask(_: int) -> None:
        with gate.passed():
            server.ask()

    with ThreadPoolExecutor(MOST) as threads:
        list(threads.map(ask, range(requests)))


def test_a_set_number_is_never_exceeded_and_is_used() -> None:
    gate, server = Gate(3), Server(100)
    through(gate, server, 60)
    assert (server.most, gate.at_once) == (3, 3)


def test_a_server_that_answers_many_at_once_gets_many() -> None:
    gate, server = Gate(), Server(1000)
    through(gate, server, REQUESTS)
    assert gate.at_once >= 16


def test_a_server_that_answers_one_after_the_other_is_not_flooded() -> None:
    gate, server = Gate(), Server(1)
    through(gate, server, 60)
    assert gate.at_once == 1
    assert server.most <= 2


def test_an_error_gives_the_place_back() -> None:
    gate = Gate(1)
    with pytest.raises(OSError, match="gone"), gate.passed():
        raise OSError("gone")
    with gate.passed():
        assert gate.at_once == 1


def test_without_a_crowd_nothing_is_concluded() -> None:
    gate = Gate()
    for _ in range(20):
        with gate.passed():
            pass
    assert gate.at_once <= 2  # one by one through an open gate: two would never be inside at once
