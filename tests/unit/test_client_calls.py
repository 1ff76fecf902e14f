"""What the client does about a service that refuses, is busy, or goes away: against servers that do just that."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

from services.client import ApiError, Unreachable, calls, places
from services.client.calls import Calls
from services.client.places import Storage

Answer = tuple[int, dict[str, str], bytes] | None
OK: Answer = (200, {}, b"{}")
BUSY: Answer = (503, {"Retry-After": "0"}, b"{}")
PROBLEM = b'{"code": "limit_exceeded", "detail": "Too much.", "limit": "max_file_bytes", "maximum": 7, "errors": []}'


class Scripted:
    """A server that gives these answers, one after the other; None hangs up instead of answering."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append((self.command, self.path, headers, body))
                given = script.answers.pop(0)
                if given is None:
                    self.close_connection = True
                    return
                status, headers, content = given
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - so they are called

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scripted]]:
    monkeypatch.setattr(calls, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(places, "PAUSES", (0.01, 0.01, 0.01))
    opened: list[Scripted] = []

    def open_one(*answers: Answer) -> Scripted:
        opened.append(Scripted(*answers))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def test_an_error_has_everything_that_the_problem_says(scripted: Callable[..., Scripted]) -> None:
    server = scripted((413, {"Retry-After": "7"}, PROBLEM))
    with pytest.raises(ApiError) as refused:
        Calls(server.url).request("POST", "/v1/jobs")
    error = refused.value
    assert (error.code, error.status, error.limit, error.maximum) == ("limit_exceeded", 413, "max_file_bytes", 7)
    assert (error.retry_after, error.errors, error.detail) == (7.0, [], "Too much.")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b'{"code": 1}'])
def test_an_error_of_somebody_else_is_told_by_its_status(scripted: Callable[..., Scripted], body: bytes) -> None:
    server = scripted((404, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, body))
    with pytest.raises(ApiError) as refused:
        Calls(server.url).request("GET", "/v1/jobs?secret=1")
    assert (refused.value.code, refused.value.retry_after) == ("not_found", None)
    assert "secret" not in refused.value.detail


def test_a_busy_service_is_waited_for(scripted: Callable[..., Scripted]) -> None:
    server = scripted((429, {"Retry-After": "1"}, b"{}"), BUSY, None, OK)
    began = monotonic()
    assert Calls(server.url).request("GET", "/v1/limits", repeatable=True).status_code == 200
    assert monotonic() - began >= 1, "it said how long"
    assert len(server.asked) == 4


def test_patience_has_an_end(scripted: Callable[..., Scripted]) -> None:
    server = scripted(*[BUSY] * 5)
    with pytest.raises(ApiError):
        Calls(server.url).request("GET", "/v1/limits", repeatable=True)
    assert len(server.asked) == 4
    patient = scripted((429, {"Retry-After": "86400"}, b"{}"), OK)
    with pytest.raises(ApiError) as refused:
        Calls(patient.url).request("GET", "/v1/limits", repeatable=True)
    assert refused.value.retry_after == 86400


def test_what_may_have_happened_is_not_done_twice(scripted: Callable[..., Scripted]) -> None:
    for answer, error in ((None, Unreachable), (BUSY, ApiError)):
        server = scripted(OK, answer, OK)
        connection = Calls(server.url)
        connection.request("GET", "/")
        with pytest.raises(error):
            connection.request("POST", "/v1/faces/1/rescore")
        assert len(server.asked) == 2
    server = scripted((429, {}, b"{}"), OK)
    assert Calls(server.url).request("POST", "/v1/faces/1/rescore").status_code == 200, "it was not begun"


def test_a_service_that_never_answered_is_not_waited_for(scripted: Callable[..., Scripted]) -> None:
    server = scripted(None, OK)
    with pytest.raises(Unreachable):
        Calls(server.url).request("GET", "/", repeatable=True)
    assert len(server.asked) == 1


def test_a_body_is_sent_whole_each_time(scripted: Callable[..., Scripted]) -> None:
    server = scripted(OK, None, OK)
    connection = Calls(server.url)
    connection.request("GET", "/")
    connection.request(
        "POST",
        "/v1/jobs",
        lambda: {"content": iter([b"one ", b"two"])},
        headers={"Content-Length": "7"},
        repeatable=True,
    )
    assert [body for _, _, _, body in server.asked] == [b"", b"one two", b"one two"]


def test_the_key_goes_to_the_service_and_to_nobody_else(scripted: Callable[..., Scripted]) -> None:
    service, storage = scripted(OK), scripted(BUSY, None, OK)
    connection = Calls(service.url, "fm_abc")
    connection.request("GET", "/")
    with Storage(connection.url) as elsewhere:
        elsewhere.put(f"{storage.url}/bucket", {"Content-Type": "image/png"}, lambda: iter([b"png"]), 3)
    assert service.asked[0][2]["authorization"] == "Bearer fm_abc"
    for method, path, headers, body in storage.asked:
        assert (method, path, headers["content-type"], body) == ("PUT", "/bucket", "image/png", b"png")
        assert "authorization" not in headers


def test_a_storage_that_refuses_is_not_asked_again(scripted: Callable[..., Scripted]) -> None:
    storage = scripted((403, {}, b"<Error/>"), OK)
    with Storage(storage.url) as elsewhere, pytest.raises(ApiError) as refused:
        elsewhere.put("/bucket?X-Amz-Signature=secret", {}, lambda: iter([b"png"]), 3)
    assert refused.value.status == 403
    assert "secret" not in refused.value.detail


def test_pages_are_read_until_the_last(scripted: Callable[..., Scripted]) -> None:
    from services.api.schemas.audit import AuditPage

    pages = [b'{"entries": [], "next_cursor": "7"}', b'{"entries": [], "next_cursor": null}']
    server = scripted(*[(200, {}, page) for page in pages])
    assert len(list(Calls(server.url).pages("/v1/audit", AuditPage, action=None, flag=["a", "b"]))) == 2
    assert [path for _, path, _, _ in server.asked] == [
        "/v1/audit?flag=a&flag=b&limit=100",
        "/v1/audit?flag=a&flag=b&cursor=7&limit=100",
    ]


def test_somebody_elses_answer_is_no_answer(scripted: Callable[..., Scripted]) -> None:
    from services.api.schemas import Models

    with pytest.raises(ApiError) as refused:
        Calls(scripted((200, {}, b"<html>")).url).get("/v1/models", Models)
    assert refused.value.code == "not_facemem"
