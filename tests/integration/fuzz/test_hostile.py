"""Requests that no client library sends: each is refused with a code and changes nothing."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.pipeline.connections import Connections
from tests.integration.planted import Planted, snapshot

ANSWER_SECONDS = 20
LONG = "x" * 300_000
JSON = "Content-Type: application/json"
URLENCODED = "Content-Type: application/x-www-form-urlencoded"
JOB = "/v1/jobs/00000000-0000-4000-8000-000000000000"
BOUNDARY = "Content-Type: multipart/form-data; boundary=b"
CSV = "Content-Type: text/csv"


def body(request_line: str, content: bytes, *headers: str) -> bytes:
    lines = [f"{request_line} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\nAUTH\r\n\r\n" + content


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body of parts with the given header lines."""
    return (
        b"".join(b"--b\r\n" + lines.encode() + b"\r\n\r\n" + content + b"\r\n" for lines, content in parts)
        + b"--b--\r\n"
    )


FIELD = 'Content-Disposition: form-data; name="{}"'
FILE = 'Content-Disposition: form-data; name="images"; filename="{}"'
A_FILE = (FILE.format("a.jpg"), b"x")


def named(name: str, value: bytes) -> tuple[str, bytes]:
    """One field of a form."""
    return FIELD.format(name), value


def submission(*parts: tuple[str, bytes], cut: int = 0) -> bytes:
    """A form that is sent as a submission, without its last bytes."""
    whole = form(*parts)
    return body("POST /v1/jobs", whole[: len(whole) - cut], BOUNDARY)


def packed(content: bytes, kind: str) -> bytes:
    """An archive that is sent as a submission."""
    return body("POST /v1/jobs", content, f"Content-Type: application/{kind}")


def key_wanted(content: bytes) -> bytes:
    """A body for a key to be made."""
    return body("POST /v1/keys", content, JSON)


# The name of what is wrong, the request, and the statuses that say so.
REQUESTS: list[tuple[str, bytes, set[int]]] = [
    ("method that does not exist", body("BREW /v1/jobs", b""), {405}),
    ("method that is not for this", body("PUT /v1/jobs", b"{}", JSON), {405}),
    ("method that is not for one", body(f"POST {JOB}", b"{}", JSON), {405}),
    ("path that climbs", body("GET /v1/../../etc/passwd", b""), {404}),
    ("path that climbs, encoded", body("GET /v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", b""), {404}),
    ("path with a NUL", body("GET /v1/jobs/%00", b""), {404}),
    ("path that is no UTF-8", body("GET /v1/jobs/%ff%fe", b""), {404}),
    ("path that is long", body(f"GET /v1/jobs/{'a' * 60_000}", b""), {404, 414}),
    ("id that is no id", body("GET /v1/jobs/1", b""), {404}),
    ("id that is negative", body("GET /v1/faces/-1", b""), {404}),
    ("id that is zero", body("GET /v1/faces/0", b""), {422}),
    ("id that is enormous", body(f"GET /v1/faces/{'9' * 400}", b""), {404, 422}),
    ("id with more digits than Python reads", body(f"GET /v1/faces/{'9' * 5000}", b""), {400, 404, 422}),
    ("id in other digits", body("GET /v1/faces/%D9%A1", b""), {200, 404}),
    ("query with a NUL", body("GET /v1/jobs?label=%00", b""), {422}),
    ("query that is no UTF-8", body("GET /v1/jobs?label=%ff", b""), {200, 422}),
    ("query with half a surrogate pair", body("GET /v1/jobs?label=%ed%a0%80", b""), {200, 422}),
    ("number that is none", body("GET /v1/jobs?limit=many", b""), {422}),
    ("number that is enormous", body(f"GET /v1/jobs?limit={'9' * 5000}", b""), {422}),
    ("number that is not a number", body("GET /v1/jobs?limit=nan", b""), {422}),
    ("parameter twice", body("GET /v1/jobs?limit=1&limit=x", b""), {200, 422}),
    ("cursor that was never given", body("GET /v1/jobs?cursor=AAAA", b""), {400, 422}),
    ("cursor that is long", body(f"GET /v1/keys?cursor={'a' * 50_000}", b""), {400, 414, 422}),
    ("thousand parameters", body("GET /v1/jobs?" + "&".join(f"label={n}" for n in range(5000)), b""), {200, 400, 422}),
    ("header that is huge", body("GET /v1/jobs", b"", f"X-Long: {LONG}"), {200, 400, 431}),
    ("key that is huge", body("GET /healthz", b"", f"Authorization: Bearer {'k' * 20_000}"), {200, 401, 431}),
    ("thousand headers", body("GET /v1/jobs", b"", *(f"X-{n}: 1" for n in range(1000))), {200, 400, 431}),
    ("condition that is none", body(f"GET {JOB}", b"", "If-None-Match: \xff\xfe"), {400, 404}),
    ("event that never was", body(f"GET {JOB}/events", b"", "Last-Event-ID: \xff"), {400, 404}),
    ("idempotency that is long", body("POST /v1/jobs", b"{}", JSON, f"Idempotency-Key: {'k' * 5000}"), {400, 422}),
    ("key of idempotency in bytes", body("POST /v1/jobs", b"{}", JSON, "Idempotency-Key: \xff"), {400, 422}),
    ("length that is no number", b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: x\r\n\r\n", {400}),
    ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}", {400}),
    ("no media type", body("POST /v1/keys", b'{"name": "x"}'), {415}),
    ("media type that is none", body("POST /v1/keys", b'{"name": "x"}', "Content-Type: ;;;"), {415}),
    ("form where JSON belongs", body("POST /v1/keys", b"name=x", URLENCODED), {415}),
    ("form where a submission belongs", body("POST /v1/jobs", b"a=b", URLENCODED), {415}),
    ("encoding that is unknown", body("POST /v1/keys", b"x", JSON, "Content-Encoding: br"), {400, 415}),
    ("charset that is unknown", body("POST /v1/keys", b"\xff", f"{JSON}; charset=klingon"), {400}),
    ("JSON that is none", key_wanted(b"{"), {400}),
    ("JSON in UTF-16", key_wanted('{"name": "x", "scopes": 1}'.encode("utf-16")), {400, 422}),
    ("JSON that is no UTF-8", key_wanted(b'{"name": "\xff"}'), {400}),
    ("JSON with half a surrogate pair", key_wanted(b'{"name": "\\ud800"}'), {422}),
    ("JSON nested 100,000 deep", key_wanted(b"[" * 100_000), {400}),
    ("JSON nested 100,000 deep, closed", body("POST /v1/compare", b"[" * 50_000 + b"]" * 50_000, JSON), {400}),
    ("JSON with an enormous number", key_wanted(b'{"expires_in_seconds": 1' + b"0" * 5000 + b"}"), {400, 422}),
    ("JSON with no number", key_wanted(b'{"name": "x", "expires_in_seconds": NaN}'), {400, 422}),
    ("JSON larger than any", key_wanted(b'{"name": "' + b"x" * 5_000_000 + b'"}'), {413}),
    ("JSON that is a string", key_wanted(b'"{}"'), {422}),
    ("JSON with a field too many", key_wanted(b'{"name": "x", "admin": true}'), {422}),
    ("submission nested deep", body("POST /v1/jobs", b'{"images": ' + b"[" * 100_000, JSON), {400}),
    ("submission cut off", body("POST /v1/jobs", b'{"images": [{"url": "https://a', JSON), {400}),
    ("submission of nothing", body("POST /v1/jobs", b"", JSON), {400}),
    ("form without a boundary", body("POST /v1/jobs", form(A_FILE), "Content-Type: multipart/form-data"), {400}),
    ("form cut off in a file", submission((FILE.format("a.jpg"), b"x" * 500), cut=200), {400}),
    ("form without an end", submission(A_FILE, cut=7), {400}),
    ("form with a field twice", submission(named("name", b"a"), named("name", b"b"), A_FILE), {400, 422}),
    ("form with a field of no name", submission(("Content-Disposition: form-data", b"a")), {400}),
    ("form with an unknown field", submission(named("colour", b"a"), A_FILE), {400, 422}),
    ("form with a field that is no UTF-8", submission(named("name", b"\xff"), A_FILE), {400, 422}),
    ("form of headers only", body("POST /v1/jobs", b"--b\r\n" + b"X: y\r\n" * 100_000, BOUNDARY), {400, 413}),
    ("table without columns", body("POST /v1/jobs", b"\n\n\n", CSV), {400}),
    ("table without a column of links", body("POST /v1/jobs", b"a,b\n1,2\n", CSV), {400}),
    ("table with a column twice", body("POST /v1/jobs", b"url,url\nhttps://a,https://b\n", CSV), {400}),
    ("table with a priority that is none", body("POST /v1/jobs?priority=now", b"url\nhttps://a.org\n", CSV), {422}),
    ("archive that is none", packed(b"PK\x03\x04 and so on", "zip"), {400}),
    ("archive of nothing", packed(b"", "zip"), {400}),
    ("archive packed wrongly", packed(b"\x1f\x8b\x08\x00" + b"\xff" * 50, "gzip"), {400}),
    ("bundle that climbs", body("POST /v1/jobs?bundle=../../etc", b"url\nhttps://example.org/a\n", CSV), {422}),
]  # fmt: skip


def ask(url: str, request: bytes, key: str, *, hang_up: bool = False) -> tuple[int | None, bytes]:
    """The status and body of the answer; None where the connection was closed without one."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_SECONDS) as connection:
        try:
            connection.sendall(
                request.replace(b"AUTH", f"Authorization: Bearer {key}\r\nConnection: close".encode(), 1)
            )
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough; what does it say?
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    if not received:
        return None, b""
    head, _, rest = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def test_hostile_requests_are_refused_with_a_code_and_change_nothing(
    served: tuple[str, Path], tenants: tuple[Planted, Planted], connections: Connections
) -> None:
    (url, log), (anna, _) = served, tenants

    def everything() -> tuple[object, list[str]]:
        with connections.database.begin() as connection:
            return snapshot(connection, anna.tenant), sorted(connections.objects.keys(""))

    before, wrong = everything(), []
    for name, request, statuses in REQUESTS:
        status, answer = ask(url, request, anna.key)
        if status not in statuses:
            wrong.append(f"{name}: {status} {answer[:200]!r}")
        elif status >= 400 and not _explained(answer):
            wrong.append(f"{name}: {status} without a code: {answer[:200]!r}")
    assert not wrong, "\n".join(wrong)
    assert everything() == before
    assert "request_broke" not in log.read_text()


def _explained(answer: bytes) -> bool:
    """Whether it is a problem document; what is not HTTP at all, the server refuses before the API has a say."""
    if answer in (b"", b"0\r\n\r\n"):
        return True
    start, end = answer.find(b"{"), answer.rfind(b"}")
    return bool(json.loads(answer[start : end + 1])["code"])


@pytest.mark.parametrize("sent", [0, 1, 100])
def test_a_body_that_never_comes_whole_stores_nothing(
    served: tuple[str, Path], tenants: tuple[Planted, Planted], connections: Connections, sent: int
) -> None:
    (url, log), (anna, _) = served, tenants
    before = sorted(connections.objects.keys(""))
    whole = form((FILE.format("a.jpg"), b"x" * 1000))
    request = body("POST /v1/jobs", whole, BOUNDARY)
    status, _ = ask(url, request[: len(request) - len(whole) + sent], anna.key, hang_up=True)
    assert status in (None, 400, 408)
    assert sorted(connections.objects.keys("")) == before
    assert ask(url, body("GET /v1/jobs", b""), anna.key)[0] == 200
    assert "request_broke" not in log.read_text()
