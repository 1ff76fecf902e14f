"""The proxy that stands between facemem and its servers does what it is told, and nothing else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep

import pytest

from tests.torture.proxy import Fault, FaultProxy

SECONDS = 5.0


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while piece := connection.recv(65536):
                    connection.sendall(piece)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as proxy:
        yield proxy


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), SECONDS)


def echoed(connection: socket.socket, content: bytes) -> bytes:
    connection.sendall(content)
    seen = b""
    while len(seen) < len(content):
        piece = connection.recv(65536)
        if not piece:
            break
        seen += piece
    return seen


def test_without_a_fault_everything_passes_and_ends_are_passed_on(proxy: FaultProxy) -> None:
    content = bytes(range(256)) * 2000
    with connected(proxy) as connection:
        assert echoed(connection, content) == content
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_a_server_that_is_not_there_resets(proxy: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with FaultProxy(port) as nowhere, pytest.raises(ConnectionResetError), connected(nowhere) as connection:
        connection.recv(1)


def test_a_delay_and_a_rate_take_their_time(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        began = monotonic()
        with proxy.fault(Fault(delay=0.1)):
            assert echoed(connection, b"a") == b"a"
        assert monotonic() - began >= 0.2  # there and back
        began = monotonic()
        with proxy.fault(Fault(rate=10_000)):
            assert echoed(connection, bytes(1000)) == bytes(1000)
        assert monotonic() - began >= 0.2


def test_a_black_hole_tells_nothing_until_it_is_over(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        with proxy.fault(Fault(black_hole=True)):
            connection.sendall(b"a")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(SECONDS)
        assert connection.recv(1) == b"a"


def test_open_connections_are_reset_and_new_ones_refused(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        assert echoed(connection, b"a") == b"a"
        with proxy.fault(Fault(refuse=True)):
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
            # It may be reset before we have noticed that it was made.
            with pytest.raises(ConnectionResetError), connected(proxy) as another:
                another.recv(1)
    with connected(proxy) as connection:
        assert echoed(connection, b"b") == b"b"


def heard(connection: socket.socket) -> tuple[bytes, bool]:
    """All that comes until the end, and whether that was a reset."""
    seen = b""
    try:
        while piece := connection.recv(65536):
            seen += piece
    except ConnectionResetError:
        return seen, True
    return seen, False


@pytest.mark.parametrize("quietly", [False, True])
def test_an_answer_is_cut_after_so_many_bytes(proxy: FaultProxy, quietly: bool) -> None:
    with proxy.fault(Fault(cut_after=10, quietly=quietly)), connected(proxy) as connection:
        connection.sendall(bytes(100))
        seen, reset = heard(connection)
    assert len(seen) == 10 if quietly else len(seen) <= 10
    assert reset or quietly


@pytest.mark.parametrize("unasked", [False, True])
def test_another_answer_comes_than_the_server_gave(unasked: bool) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server, FaultProxy(server.getsockname()[1]) as proxy:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(ConnectionResetError):
                asked.append(connection.recv(100))
                connection.sendall(b"done")

        serving = threading.Thread(target=serve)
        serving.start()
        with proxy.fault(Fault(answer=b"not done", unasked=unasked)), connected(proxy) as connection:
            connection.sendall(b"do it")
            assert heard(connection)[0] == b"not done"
        serving.join(SECONDS)
    assert asked == ([] if unasked else [b"do it"])


def test_one_of_so_many_pieces_is_corrupt(proxy: FaultProxy) -> None:
    with proxy.fault(Fault(corrupt=2)), connected(proxy) as connection:
        assert [echoed(connection, b"a") for _ in range(4)] == [b"a", b"`", b"a", b"`"]


def test_only_what_begins_so_is_corrupt(proxy: FaultProxy) -> None:
    with proxy.fault(Fault(corrupt=2, beginning=b"a")), connected(proxy) as connection:
        assert [echoed(connection, each) for each in (b"a", b"b", b"ac", b"b", b"a")] == [b"a", b"b", b"`c", b"b", b"a"]
    assert proxy.met == 1


def test_an_answer_that_is_late_stays_so_when_the_fault_is_over(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        with proxy.fault(Fault(latency=0.5)):
            connection.sendall(b"a")
            sleep(0.2)
        assert proxy.met == 1
        assert proxy.waited == 0, "it is waited for still"
        assert connection.recv(1) == b"a"
    assert 0.5 <= proxy.waited < SECONDS


def test_who_hangs_up_has_waited_until_then(proxy: FaultProxy) -> None:
    with proxy.fault(Fault(latency=SECONDS)):
        with connected(proxy) as connection:
            connection.sendall(b"a")
            sleep(0.3)
        sleep(0.1)
    assert 0.2 < proxy.waited < 1


def test_it_counts_what_it_does_to_whom(proxy: FaultProxy) -> None:
    with connected(proxy) as connection:
        assert echoed(connection, b"a") == b"a"
        assert proxy.met == 0
        with proxy.fault(Fault(delay=0.01)):
            assert echoed(connection, b"a") == b"a"
        assert proxy.met == 2
        with proxy.fault(Fault(black_hole=True)):
            connection.sendall(b"a")
            sleep(0.2)
            assert proxy.met == 1
        assert connection.recv(1) == b"a"
        with proxy.fault(Fault(refuse=True)):
            assert proxy.met == 0
            assert proxy.reset() == 1
