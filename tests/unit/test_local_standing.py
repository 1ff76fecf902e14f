"""Who runs the system is told what stands still, once, and when it has passed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep

import pytest

from services.local import standing
from services.local.standing import DATABASE_AWAY, changes_told, wrong


class Api:
    """Answers /readyz as it is told to."""

    def __init__(self) -> None:
        self.status, self.health = 200, {"status": "ok", "degraded": []}
        self.asked = 0
        api = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(api.health).encode()
                self.send_response(api.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                api.asked += 1

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def becomes(self, http: int, **health: object) -> None:
        """Changes, and waits until it was asked for some times: only once is it new."""
        self.status, self.health = http, health
        seen, deadline = self.asked, monotonic() + 30
        while self.asked < seen + 3:
            assert monotonic() < deadline
            sleep(0.01)


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.server.shutdown()
    api.server.server_close()


def test_changes_are_told_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "LOOK_SECONDS", 0.02)
    told: list[str] = []
    with changes_told(api.url, lambda name, happened: told.append(happened)):
        api.becomes(200, status="ok", degraded=[])
        api.becomes(200, status="degraded", degraded=[{"detail": "Redis does not answer."}])
        api.becomes(503, status="unavailable", degraded=[])
        api.becomes(200, status="ok", degraded=[])
    assert told == ["degraded: Redis does not answer.", f"degraded: {DATABASE_AWAY}", "all is well again"]


def test_one_that_does_not_answer_is_left_to_the_supervisor(api: Api) -> None:
    assert wrong("http://127.0.0.1:9/readyz") is None
    api.server.shutdown()
    api.server.server_close()
    assert wrong(f"{api.url}/readyz") is None
