"""Sending one event: what the receiver gets, and what is never sent. Against a real web server."""

import base64
import json
import secrets
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from shared import outgoing
from tests.hostile_links import HOSTILE
from tests.webhook_receiver import Received, Receiver, receiver
from workers.dispatcher.post import Answer, Letter, post, signature

TRUST = outgoing.trusted()
SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
PAYLOAD = {"type": "job.completed", "data": {"job": "é ☃"}}


@pytest.fixture(scope="module")
def there() -> Iterator[Receiver]:
    with receiver() as made:
        made.held.add("/slow")
        made.answers = {
            "/moved": (307, {"Location": f"{made.address}/elsewhere"}),
            "/busy": (503, {"Retry-After": "90"}),
            "/later": (429, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)}),
            "/odd": (500, {"Retry-After": "soon"}),
            "/never": (410, {}),
        }
        yield made


def sent(url: str, seconds: float = 30, private: bool = True) -> Answer:
    return post(Letter(str(uuid4()), url, SECRET, PAYLOAD), seconds, private, TRUST)


def arrived(there: Receiver) -> Received:
    answer = sent(f"{there.address}/hook")
    assert (answer.status, answer.error) == (200, None)
    return there.next()


def test_the_reference_library_takes_it_for_genuine(there: Receiver) -> None:
    received = arrived(there)
    assert received.verified(SECRET) == PAYLOAD
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Host"] == there.address.removeprefix("http://")


def test_openssl_computes_the_same_signature() -> None:
    """A second opinion that shares no code with either: the specification, worked by hand."""
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    digest = subprocess.run(command, input=b'msg_1.1614265330.{"a":1}', capture_output=True, check=True).stdout
    assert signature(SECRET, "msg_1", 1614265330, b'{"a":1}') == "v1," + base64.b64encode(digest).decode()


def test_what_was_tampered_with_is_noticed(there: Receiver) -> None:
    received = arrived(there)
    changes = [
        (received.body.replace(b"completed", b"cancelled"), {}, SECRET),
        (received.body, {"webhook-id": "another"}, SECRET),
        (received.body, {"webhook-timestamp": str(int(received.headers["webhook-timestamp"]) + 1)}, SECRET),
        (received.body, {}, "whsec_" + base64.b64encode(bytes(32)).decode()),
    ]
    for body, headers, secret in changes:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, {**received.headers, **headers})


def test_a_redirect_is_not_followed(there: Receiver) -> None:
    answer = sent(f"{there.address}/moved")
    assert (answer.status, answer.error) == (307, "The address answered 307.")
    assert there.next().path == "/moved"
    assert there.received.empty()


@pytest.mark.parametrize(
    ("path", "status", "least", "most"),
    [("/busy", 503, 90, 90), ("/later", 429, 500, 600), ("/odd", 500, 0, 0), ("/never", 410, 0, 0)],
)
def test_no_is_an_answer(there: Receiver, path: str, status: int, least: float, most: float) -> None:
    answer = sent(f"{there.address}{path}")
    there.next()
    assert answer.status == status
    assert answer.error == f"The address answered {status}."
    assert least <= answer.retry_after <= most


def test_a_slow_receiver_has_until_the_deadline(there: Receiver) -> None:
    answer = sent(f"{there.address}/slow", seconds=0.3)
    there.next()
    assert (answer.status, answer.error) == (None, "The address did not answer within 0.3 seconds.")
    assert 300 <= answer.milliseconds < 5000


def test_of_an_endless_answer_nothing_is_read(there: Receiver) -> None:
    began = monotonic()
    assert sent(f"{there.address}/endless").error is None
    there.next()
    assert monotonic() - began < 5


def test_nobody_there_is_an_answer_too() -> None:
    answer = sent("http://127.0.0.1:9/")
    assert answer.status is None
    assert answer.error is not None
    assert answer.error.startswith("The address could not be reached")


@pytest.mark.parametrize("url", [*HOSTILE, "https://localhost/"])
def test_nothing_is_sent_to_private_places(url: str) -> None:
    answer = sent(url, private=False)
    assert answer.status is None
    assert answer.error is not None
    refused = ("Links must", "There is no port", "has an address that is not public", "is not known", "Invalid")
    assert any(words in answer.error for words in refused), answer.error


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are looked up. `*.test` are this machine the first time, and somewhere private from then on."""
    asked: list[str] = []

    def find(host: str, port: int, *args: Any, real: Any = socket.getaddrinfo, **options: Any) -> Any:
        if not str(host).endswith(".test"):
            return real(host, port, *args, **options)
        asked.append(host)
        address = "127.0.0.1" if asked.count(host) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    return asked


def test_a_name_is_looked_up_once(there: Receiver, resolver: list[str]) -> None:
    """So a name server cannot answer the check with one address and the connection with another."""
    port = there.address.rpartition(":")[2]
    assert sent(f"http://rebinding.test:{port}/hook").error is None
    assert there.next().headers["Host"] == f"rebinding.test:{port}"
    assert resolver == ["rebinding.test"]


def test_a_certificate_must_be_of_the_name_and_not_of_the_address(tmp_path: Path, resolver: list[str]) -> None:
    file = tmp_path / "hook.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=hook.test"]
    command += [
        "-addext",
        "subjectAltName=DNS:hook.test,DNS:again.test",
        "-keyout",
        str(tmp_path / "key"),
        "-out",
        str(file),
    ]
    subprocess.run(command, capture_output=True, check=True)
    trust = ssl.create_default_context(cafile=file)
    file.write_bytes(file.read_bytes() + (tmp_path / "key").read_bytes())
    with receiver(file) as there:
        port = there.address.rpartition(":")[2]

        def answered(name: str, trusted: ssl.SSLContext) -> Answer:
            return post(Letter(str(uuid4()), f"https://{name}:{port}/", SECRET, PAYLOAD), 30, True, trusted)

        assert answered("hook.test", trust).error is None
        assert there.next().verified(SECRET) == PAYLOAD
        assert "certificate" in (answered("other.test", trust).error or "")
        assert "certificate" in (answered("again.test", TRUST).error or ""), "nobody vouches for it"
        assert there.received.empty()


def test_the_body_is_json_that_stays_the_same(there: Receiver) -> None:
    assert (
        arrived(there).body
        == arrived(there).body
        == json.dumps(PAYLOAD, ensure_ascii=False, separators=(",", ":")).encode()
    )
