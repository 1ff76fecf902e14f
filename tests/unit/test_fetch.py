"""Fetching by link: only public addresses, only so many bytes, only so long. Against a real web server."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from shared import outgoing
from shared.addresses import is_public
from shared.errors import FacememError, FetchFailed, FetchRefused, NotFetched, TooLarge
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Priority
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed
from shared.storage.objects import FolderObjects
from tests.hostile_links import HOSTILE
from workers.intake import task
from workers.intake.fetch import Limits, fetch, open_client
from workers.intake.task import FETCHES_AT_ONCE, build

INSIDE = Limits(bytes=1000, seconds=30, private=True)
HURRIED = Limits(bytes=1000, seconds=0.3, private=True)
OUTSIDE = Limits(bytes=1000, seconds=30)
BOMB = gzip.compress(bytes(100_000))


PAGES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/image": (200, b"pixels", {}),
    "/large": (200, b"-" * 1001, {}),
    "/bomb": (200, BOMB, {"Content-Encoding": "gzip"}),
    "/redirect": (302, b"", {"Location": "/image"}),
    "/away": (302, b"", {"Location": "http://169.254.169.254/secret"}),
    "/nowhere": (302, b"", {"Location": "http://0177.0.0.1/"}),
    "/loop": (302, b"", {"Location": "/loop"}),
    "/unchanged": (304, b"", {}),
    "/elsewhere": (421, b"", {}),
    "/busy": (503, b"", {}),
}


class Site(BaseHTTPRequestHandler):
    """A small site with every kind of page. It would keep connections. What is slow is right in the end."""

    protocol_version = "HTTP/1.1"
    crowd = threading.Semaphore(FETCHES_AT_ONCE)

    def do_GET(self) -> None:
        with suppress(OSError):
            match self.path:
                case "/request":
                    self._answer(200, f"{self.headers['Host']} {self.headers['Accept-Encoding']}".encode())
                case "/connection":
                    self._answer(200, str(self.client_address[1]).encode())
                case "/crowded":
                    self._crowded()
                case "/endless":
                    self._trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"-" * 100, 0, 100_000)
                case "/slow":
                    self._trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b"-", 0.05, 60)
                case "/hanging":
                    self._trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", b"-", 3, 1)
                case "/slow-headers":
                    self._trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", b"X-Slow: -\r\n", 0.05, 60)
                    self.wfile.write(b"\r\n")
                case "/slow-redirects":
                    sleep(0.2)
                    self._answer(302, b"", Location=self.path)
                case path:
                    status, body, headers = PAGES.get(path, (404, b"", {}))
                    self._answer(status, body, **headers)

    def _crowded(self) -> None:
        """Turns away whoever comes while FETCHES_AT_ONCE others are there."""
        if not self.crowd.acquire(blocking=False):
            return self._answer(404, b"")
        sleep(0.05)
        self.crowd.release()
        return self._answer(200, b"pixels")

    def _trickle(self, beginning: bytes, drop: bytes, pause: float, drops: int) -> None:
        self.wfile.write(beginning)
        for _ in range(drops):
            sleep(pause)
            self.wfile.write(drop)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetched(*urls: str, limits: Limits = INSIDE) -> list[bytes]:
    """Fetch links one after the other with one client."""

    async def one_by_one() -> list[bytes]:
        async with open_client(outgoing.trusted()) as client:
            return [await fetch(client, url, limits) for url in urls]

    return asyncio.run(one_by_one())


def test_an_image_arrives(site: str) -> None:
    named = site.replace("127.0.0.1", "localhost")
    assert fetched(f"{site}/image", f"{site}/redirect", f"{named}/image") == [b"pixels"] * 3


def test_the_server_hears_its_name_and_that_nothing_shall_be_compressed(site: str) -> None:
    named = site.replace("127.0.0.1", "localhost")
    assert fetched(f"{named}/request") == [f"{named.removeprefix('http://')} identity".encode()]


def test_a_bomb_is_not_inflated(site: str) -> None:
    assert fetched(f"{site}/bomb") == [BOMB]


def test_no_connection_is_used_twice(site: str) -> None:
    first, second = fetched(f"{site}/connection", f"{site}/connection")
    assert first != second


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/loop", NotFetched),
        ("/nowhere", FetchFailed),
        ("/unchanged", NotFetched),
        ("/large", TooLarge),
        ("/endless", TooLarge),
        ("/busy", FetchFailed),
        ("/elsewhere", FetchFailed),
        ("/none", NotFetched),
    ],
)
def test_what_goes_wrong_has_a_name(site: str, path: str, error: type[FacememError]) -> None:
    with pytest.raises(error):
        fetched(f"{site}{path}")


@pytest.mark.parametrize("path", ["/slow", "/hanging", "/slow-headers", "/slow-redirects"])
def test_what_is_slow_ends_at_the_deadline(site: str, path: str) -> None:
    with pytest.raises(FetchFailed, match="did not arrive within"):
        fetched(f"{site}{path}", limits=HURRIED)


def test_the_deadline_includes_finding_the_host(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: Any, find: Any = socket.getaddrinfo, **options: Any) -> Any:
        sleep(0.6)
        return find(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(FetchFailed, match="did not arrive within"):
        fetched(f"{site}/image", limits=HURRIED)


def test_a_server_that_is_away_may_come_back() -> None:
    with pytest.raises(FetchFailed):
        fetched("http://127.0.0.1:9/")


@pytest.mark.parametrize("url", [*HOSTILE, "https://localhost/"])
def test_private_places_are_not_visited(url: str) -> None:
    with pytest.raises((FetchRefused, FetchFailed)) as refused:
        fetched(url, limits=OUTSIDE)
    assert isinstance(refused.value, FetchRefused) or "not known" in str(refused.value)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_redirect_is_checked_like_the_link_itself(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public server that redirects to a private address gets nothing. Here our own site counts as public."""
    from shared import addresses, outgoing

    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(outgoing, "check_link", lambda *link, check=outgoing.check_link: check(*link[:-1], True))
    assert fetched(f"{site}/redirect", limits=OUTSIDE) == [b"pixels"]
    with pytest.raises(FetchRefused):
        fetched(f"{site}/away", limits=OUTSIDE)


def test_a_batch_is_stored_a_few_at_a_time(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than FETCHES_AT_ONCE side by side, and a bad link harms none of its neighbours."""
    settings = SimpleNamespace(max_file_bytes=1000, fetch_seconds=30, fetch_private_addresses=True)
    objects = FolderObjects(tmp_path)
    monkeypatch.setattr(task, "_full", lambda connections, job: False)  # the quota is in a database, which is not here
    work, _ = build(cast("Connections", SimpleNamespace(settings=settings, objects=objects)))
    job, paths = uuid4(), ["/none", "/large"] + ["/crowded"] * 3 * FETCHES_AT_ONCE
    images = [
        ClaimedImage(number, job, "a.jpg", f"{site}{path}", None, 1, "describer", "compact", Priority.BULK)
        for number, path in enumerate(paths)
    ]
    outcomes = list(work(images, uuid4()))
    assert [outcome.image for outcome in outcomes] == images
    errors = [type(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]
    assert errors == [NotFetched, TooLarge]
    assert {objects.get(outcome.output.key) for outcome in outcomes if isinstance(outcome, Done)} == {b"pixels"}
