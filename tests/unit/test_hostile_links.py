"""Nobody brings intake or a webhook to connect to a place that is not public. Counted where connections arrive."""

import asyncio
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared import outgoing
from shared.errors import FetchFailed, FetchRefused, NotFetched
from tests.hostile_links import ADDRESSES, AMBIGUOUS, HOSTILE, NAMES, NO_LINKS, PUBLIC, REBINDING, Internet, internet
from tests.webhook_receiver import Receiver, receiver
from workers.dispatcher.post import Letter, post
from workers.intake.fetch import Limits, fetch

SECRET = "whsec_" + "A" * 32
TRUST = outgoing.trusted()
# Tells what became of a link: None if it was followed.
Follow = Callable[[str, ssl.SSLContext], str | None]


def fetched(url: str, trust: ssl.SSLContext = TRUST, private: bool = False) -> str | None:
    async def once() -> None:
        async with outgoing.open_client({}, trust) as client:
            await fetch(client, url, Limits(bytes=1000, seconds=30, private=private))

    try:
        return asyncio.run(once())
    except (FetchRefused, FetchFailed, NotFetched) as error:
        return error.detail


def delivered(url: str, trust: ssl.SSLContext = TRUST, private: bool = False) -> str | None:
    return post(Letter(str(uuid4()), url, SECRET, {}), 30, private, trust).error


@pytest.fixture
def outside() -> Iterator[Internet]:
    with internet() as made:
        yield made


@pytest.fixture
def site(outside: Internet, tmp_path: Path) -> Iterator[tuple[Receiver, ssl.SSLContext]]:
    """A public site, `public.test`, with a certificate, and who vouches for it."""
    file, key = tmp_path / "site.pem", tmp_path / "key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=public.test"]
    command += ["-addext", "subjectAltName=DNS:public.test", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, capture_output=True, check=True)
    trust = ssl.create_default_context(cafile=file)
    file.write_bytes(file.read_bytes() + key.read_bytes())
    with receiver(file) as there:
        outside.site = int(there.address.rpartition(":")[2])
        yield there, trust


BOTH = pytest.mark.parametrize("follow", [fetched, delivered])


def test_there_are_enough_of_them() -> None:
    assert len(set(ADDRESSES)) == len(ADDRESSES) >= 60


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "loopback.test"])
@BOTH
def test_the_trap_catches(outside: Internet, follow: Callable[..., str | None], host: str) -> None:
    """Where private places are allowed, the same links do arrive: so the tests below can fail."""
    follow(f"http://{host}:{outside.port}/", private=True)
    assert [address[1] for address in outside.connected] == [outside.port]
    assert len(outside.caught) == 1


@pytest.mark.parametrize("url", HOSTILE)
@BOTH
def test_no_link_leads_to_a_connection(outside: Internet, follow: Follow, url: str) -> None:
    assert follow(url, TRUST) is not None
    assert (outside.connected, outside.caught) == ([], [])


@BOTH
def test_no_address_is_connected_to_at_any_port(outside: Internet, follow: Follow) -> None:
    for host in ADDRESSES:
        for port in (outside.port, 80, 443, 5432, 6379):
            assert follow(f"https://{host}:{port}/", TRUST) is not None, host
    assert (outside.connected, outside.caught) == ([], [])


@pytest.mark.parametrize("name", NAMES)
@BOTH
def test_no_name_leads_inside(outside: Internet, follow: Follow, name: str) -> None:
    """All the addresses of a name must be public, whichever comes first."""
    assert "not public" in str(follow(f"https://{name}:{outside.port}/", TRUST))
    assert (outside.connected, outside.caught) == ([], [])


@BOTH
def test_a_name_that_changes_its_mind_is_asked_once(outside: Internet, follow: Follow) -> None:
    """The connection goes to the address that was checked; the name server's second answer is heard by nobody."""
    assert follow(f"https://{REBINDING}:{outside.port}/", TRUST) is not None
    assert outside.asked == {REBINDING: 1}
    assert outside.connected == [(PUBLIC, outside.port)]
    assert outside.caught == []
    assert "not public" in str(follow(f"https://{REBINDING}:{outside.port}/", TRUST)), "and the next time it is checked"
    assert len(outside.connected) == 1


def test_no_redirect_leads_inside(outside: Internet, site: tuple[Receiver, ssl.SSLContext]) -> None:
    there, trust = site
    places = [*HOSTILE, *(f"https://{host}:{outside.port}/" for host in (*ADDRESSES, *NAMES))]
    places = [place for place in places if place.isascii() and place.isprintable()]  # what a header can say
    there.answers = {f"/{number}": (302, {"Location": place}) for number, place in enumerate(places)}
    there.answers["/good"] = (302, {"Location": "/image"})
    assert fetched("https://public.test/good", trust) is None
    for number, place in enumerate(places):
        followed = fetched(f"https://public.test/{number}", trust) is None
        assert not followed or place in AMBIGUOUS + NO_LINKS, place  # some lead to the site itself
    assert set(outside.connected) == {(PUBLIC, 443)}
    assert outside.caught == []


def test_a_webhook_follows_no_redirect(outside: Internet, site: tuple[Receiver, ssl.SSLContext]) -> None:
    there, trust = site
    there.answers["/moved"] = (307, {"Location": f"https://127.0.0.1:{outside.port}/"})
    assert delivered("https://public.test/moved", trust) == "The address answered 307."
    assert outside.connected == [(PUBLIC, 443)]
    assert outside.caught == []


def test_no_proxy_of_the_environment_is_asked(outside: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{outside.port}")
    for follow in (fetched, delivered):
        assert follow("https://public.test/") is not None
    assert set(outside.connected) == {(PUBLIC, 443)}
    assert outside.caught == []


def test_errors_tell_nothing_of_what_is_inside(outside: Internet) -> None:
    """Whether something listens at a private address makes no difference to what is said of it."""
    said = {fetched(f"https://loopback.test:{port}/") for port in (outside.port, 1)}
    assert len(said) == 1
    assert "loopback.test" in str(said.pop())
