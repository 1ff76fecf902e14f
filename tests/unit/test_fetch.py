"""Fetching by link: only public addresses, only so many bytes, only so long. Against a real web server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep

import httpx
import pytest

from shared.errors import FacememError, FetchFailed, FetchRefused, NotFetched, TooLarge
from workers.intake.fetch import Limits, fetch, is_public

INSIDE = Limits(bytes=1000, seconds=1, private=True)
OUTSIDE = Limits(bytes=1000, seconds=1)


class Site(BaseHTTPRequestHandler):
    """A small site with every kind of page."""

    def do_GET(self) -> None:
        match self.path:
            case "/image":
                self._answer(200, b"pixels")
            case "/redirect":
                self._answer(302, b"", Location="/image")
            case "/away":
                self._answer(302, b"", Location="http://169.254.169.254/secret")
            case "/loop":
                self._answer(302, b"", Location="/loop")
            case "/large":
                self._answer(200, b"-" * 1001)
            case "/slow":
                self.send_response(200)
                self.end_headers()
                for _ in range(30):
                    self.wfile.write(b"-")
                    sleep(0.1)
            case "/busy":
                self._answer(503, b"")
            case _:
                self._answer(404, b"")

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


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=2, trust_env=False) as opened:
        yield opened


def test_an_image_arrives(client: httpx.Client, site: str) -> None:
    assert fetch(client, f"{site}/image", INSIDE) == b"pixels"
    assert fetch(client, f"{site}/redirect", INSIDE) == b"pixels"
    assert fetch(client, f"{site.replace('127.0.0.1', 'localhost')}/image", INSIDE) == b"pixels"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/loop", NotFetched),
        ("/large", TooLarge),
        ("/slow", FetchFailed),
        ("/busy", FetchFailed),
        ("/none", NotFetched),
    ],
)
def test_what_goes_wrong_has_a_name(client: httpx.Client, site: str, path: str, error: type[FacememError]) -> None:
    with pytest.raises(error):
        fetch(client, f"{site}{path}", INSIDE)


def test_a_server_that_is_away_may_come_back(client: httpx.Client) -> None:
    with pytest.raises(FetchFailed):
        fetch(client, "http://127.0.0.1:9/", INSIDE)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.jpg",
        "file:///etc/passwd",
        "https://user:password@example.org/",
        "https://",
        "https://example.org:99999/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://0177.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
        "https://[fe80::1%25eth0]/",
    ],
)
def test_private_places_are_not_visited(client: httpx.Client, url: str) -> None:
    with pytest.raises((FetchRefused, FetchFailed)) as refused:
        fetch(client, url, OUTSIDE)
    assert isinstance(refused.value, FetchRefused) or "not known" in str(refused.value)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_redirect_is_checked_like_the_link_itself(
    client: httpx.Client, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public server that redirects to a private address gets nothing. Here our own site counts as public."""
    import workers.intake.fetch as module

    monkeypatch.setattr(module, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(module, "_checked", lambda url, private, checked=module._checked: checked(url, True))
    assert fetch(client, f"{site}/redirect", OUTSIDE) == b"pixels"
    with pytest.raises(FetchRefused):
        fetch(client, f"{site}/away", OUTSIDE)
