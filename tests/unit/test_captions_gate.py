"""How many requests a captioner has in flight."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import sleep

import pytest

from shared.captions import gate
from shared.captions.gate import MOST, Gate

SECONDS = 1.0  # for one answer, by the server's clock
LONG_ENOUGH = 0.02  # for others to come
REQUESTS = 1200


class Server:
    """Answers so many requests at once, each in the same time; the others wait.

    Its clock goes on by what each answer takes, so that a busy machine does not look like a slow server.
    """

    def __init__(self, able: int) -> None:
        self._able, self._lock = able, Lock()
        self.inside = self.most = 0
        self.now = 0.0

    def ask(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        sleep(LONG_ENOUGH)
        with self._lock:
            self.now += SECONDS / min(self.inside, self._able)
            self.inside -= 1


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server(request.param)
    monkeypatch.setattr(gate, "monotonic", lambda: made.now)
    return made


def able(requests: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", [requests], indirect=True)


def through(door: Gate, server: Server, requests: int) -> None:
    def ask(_: int) -> None:
        with door.passed():
            server.ask()

    with ThreadPoolExecutor(MOST) as threads:
        list(threads.map(ask, range(requests)))


@able(100)
def test_a_set_number_is_never_exceeded_and_is_used(server: Server) -> None:
    door = Gate(3)
    through(door, server, 60)
    assert (server.most, door.at_once) == (3, 3)


@able(1000)
def test_a_server_that_answers_many_at_once_gets_many(server: Server) -> None:
    door = Gate()
    through(door, server, REQUESTS)
    assert door.at_once >= 16


@able(1)
def test_a_server_that_answers_one_after_the_other_is_not_flooded(server: Server) -> None:
    door = Gate()
    through(door, server, 60)
    assert door.at_once == 1
    assert server.most <= 2


def test_an_error_gives_the_place_back() -> None:
    door = Gate(1)
    with pytest.raises(OSError, match="gone"), door.passed():
        raise OSError("gone")
    with door.passed():
        assert door.at_once == 1


def test_without_a_crowd_nothing_is_concluded() -> None:
    door = Gate()
    for _ in range(20):
        with door.passed():
            pass
    assert door.at_once <= 2  # one by one through an open gate: two would never be inside at once
