"""A receiver of webhooks: a real web server that keeps what arrives and answers as its paths say."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from time import sleep
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PATIENCE_SECONDS = 30
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The payload, if the reference library of the specification signs it so, and it came within the tolerance.

        The library's own `verify` would measure that up to now, and what a long test received is looked at late.
        """
        told = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        genuine = Webhook(secret).sign(self.id, told, self.body.decode())
        if abs(self.arrived - told) > TOLERANCE or genuine not in self.headers["webhook-signature"].split():
            raise WebhookVerificationError("not signed so, or not in time")
        return json.loads(self.body)


@dataclass
class Receiver:
    """Where it listens, what it received, and what it answers to which path (200 unless told otherwise).

    A path in `held` gets no answer before `release` is set; `bodies` has what else than nothing is sent from a path.
    """

    address: str = ""
    received: "Queue[Received]" = field(default_factory=Queue)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    release: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Received:
        return self.received.get(timeout=PATIENCE_SECONDS)


@contextmanager
def receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """A running receiver, over TLS if it is given a file with a certificate and its key."""
    made = Receiver()

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.received.put(Received(self.path, dict(self.headers), body))
            if self.path in made.held:
                made.release.wait(PATIENCE_SECONDS)
            with suppress(OSError):
                self._answer(*made.answers.get(self.path, (200, {})))

        def do_GET(self) -> None:
            made.received.put(Received(f"GET {self.path}", dict(self.headers), b""))
            self._answer(*made.answers.get(self.path, (200, {})))

        def _answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(made.bodies.get(self.path, b""))
            if self.path == "/endless":
                for _ in range(1000):
                    self.wfile.write(b"-" * 100_000)
                    sleep(0.01)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.address = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        made.release.set()
        server.shutdown()
        server.server_close()
