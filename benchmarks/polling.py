"""Clients that ask for the same path again and again, as a process beside what is measured: it shares no lock with the
benchmark, and costs little, because it knows no more of HTTP than it needs.

python -m benchmarks.polling HOST PORT PATH CLIENTS SECONDS PAUSE, which prints what each answer took.
A client keeps its connection as long as the server does, and pauses for PAUSE seconds after each answer.
"""

import json
import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, sleep

WARM_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Polled:
    """What clients saw: the seconds that they asked for, and what each answer took, in seconds, in ascending order."""

    seconds: float
    took: list[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.took) / self.seconds

    def percentile(self, share: float) -> float:
        """So many seconds or less did this share of the answers take."""
        return self.took[min(len(self.took) - 1, int(share * len(self.took)))]


def poll(host: str, port: int, path: str, clients: int, seconds: float, pause: float = 0.0) -> Polled:
    """Let clients of another process ask for so long, after a moment that does not count."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.polling",
        host,
        str(port),
        path,
        str(clients),
        str(seconds),
        str(pause),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 2 * TIMEOUT_SECONDS)
    return Polled(seconds, sorted(json.loads(told.stdout)))


class Client:
    """One connection, opened again where the server closes it. Raises what the server answers other than 200."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._address = (host, port)
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode()
        self._connection: socket.socket | None = None

    def ask(self) -> None:
        """One request and its whole answer."""
        if self._connection is None:
            self._connection = socket.create_connection(self._address, TIMEOUT_SECONDS)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(self._request)
        head, body = self._head(self._connection)
        if not head.startswith(b"http/1.1 200 "):
            raise RuntimeError(head.decode(errors="replace"))
        left = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]) - len(body)
        while left > 0:
            left -= len(self._piece(self._connection))
        if b"connection: close" in head:
            self._connection.close()
            self._connection = None

    def _head(self, connection: socket.socket) -> tuple[bytes, bytes]:
        """The head of the answer in small letters, and what came of its body with it."""
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += self._piece(connection)
        head, _, body = seen.partition(b"\r\n\r\n")
        return head.lower() + b"\r\n", body

    def _piece(self, connection: socket.socket) -> bytes:
        piece = connection.recv(PIECE_BYTES)
        if not piece:
            raise ConnectionError("the server closed the connection within an answer")
        return piece


def keep_asking(client: Client, begin: float, end: float, pause: float) -> list[float]:
    """Ask until `end`. Returns what each answer took that was asked for after `begin` and came before `end`."""
    took = []
    sleep(random.uniform(0, pause))  # noqa: S311 - so that clients do not ask in step
    while (asked := perf_counter()) < end:
        client.ask()
        answered = perf_counter()
        if begin <= asked and answered <= end:
            took.append(answered - asked)
        if pause:
            sleep(random.uniform(0.5, 1.5) * pause)  # noqa: S311
    return took


def main() -> None:
    """Run the clients that the command line names. Fails if any of them did."""
    host, port, path, clients, seconds, pause = sys.argv[1:]
    begin = perf_counter() + WARM_SECONDS
    end = begin + float(seconds)
    with ThreadPoolExecutor(int(clients)) as threads:
        asking = [
            threads.submit(keep_asking, Client(host, int(port), path), begin, end, float(pause))
            for _ in range(int(clients))
        ]
        took = [each for client in asking for each in client.result()]
    print(json.dumps(took))


if __name__ == "__main__":
    main()
