"""How a set gets from the page to the service when something goes wrong on the way."""

import json
import os
import threading
from collections.abc import Iterator
from zipfile import ZIP_DEFLATED, ZIP_LZMA

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import FilePayload, Page, Request, Route, expect
from sqlalchemy import text
from werkzeug.serving import make_server

from services.api.factory import create_app
from services.api.keys import stored
from services.api.scopes import Scope
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import complaints
from tests.integration.api.conftest import problem, rows
from tests.integration.api.cut_off import CutOff
from tests.integration.api.in_browser import HOSTILE, MIB, choose, enter, packed, small
from tests.integration.api.test_web_choosing import PLACES, hold, names, send

LARGE = {"max_file_bytes": 4 * MIB, "max_submission_bytes": 16 * MIB}
ANNOUNCEMENTS = "**/v1/uploads"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
def behind_a_key(settings: Settings) -> Iterator[str]:
    app = create_app(settings.model_copy(update={"keys": "required"}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    app.extensions["facemem"].database.dispose()


def large(number: int) -> FilePayload:
    """A file that does not get through in one piece; no photograph, but it begins as one."""
    content = b"\xff\xd8\xff" + os.urandom(3 * MIB)
    return {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": content}


@pytest.mark.parametrize("settings", [LARGE], indirect=True)
@pytest.mark.parametrize("archive", [False, True], ids=["files", "archive"])
def test_a_connection_that_is_lost_in_the_middle_of_a_file(
    page: Page, line: CutOff, connections: Connections, archive: bool
) -> None:
    wrong = complaints(page)
    page.goto(line.url)
    files = [large(1), large(2)]
    choose(page, *([packed(*files)] if archive else files))
    line.cutting = b"POST /v1/jobs?" if archive else b"PUT /v1/uploads/"
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    assert line.cut > 0
    assert rows(connections, "jobs") == 0
    line.cutting = None
    expect(page.get_by_text("2 images")).to_be_visible()
    assert rows(connections, "jobs") == 1
    assert names(connections) == ["1.jpg", "2.jpg"]
    assert sorted(sizes(connections)) == [len(file["buffer"]) for file in files]
    assert wrong == []


def sizes(connections: Connections) -> list[int]:
    return [connections.objects.size(key) for key in connections.objects.keys("")]


@pytest.mark.parametrize("settings", [LARGE], indirect=True)
@pytest.mark.parametrize("what", ["files", "archive", "large archive"])
def test_a_key_that_ends_while_a_set_is_sent_is_asked_for_anew(
    page: Page, behind_a_key: str, connections: Connections, what: str
) -> None:
    """Also where the service refuses before it has read all, which a browser takes for a lost connection."""
    with connections.database.begin() as connection:
        old, other = (stored.create(connection, "local", "open", "test", list(Scope), None)[0] for _ in range(2))
    page.goto(behind_a_key)
    enter(page, old)
    files = [large(1), large(2)] if what == "large archive" else [small(1), small(2)]
    choose(page, *(files if what == "files" else [packed(*files)]))

    def ends(route: Route) -> None:
        with connections.database.begin() as connection:
            connection.execute(
                text("update api_keys set revoked_at = now() where prefix = :prefix"), {"prefix": old[:11]}
            )
        route.continue_()

    page.route(PLACES if what == "files" else "**/v1/jobs?*", ends, times=1)
    send(page)
    expect(page.get_by_text("The key is not known here, or not any more.")).to_be_visible()
    enter(page, other)
    expect(page.get_by_text("2 images")).to_be_visible()
    assert rows(connections, "jobs") == 1
    assert names(connections) == ["1.jpg", "2.jpg"]


def test_files_through_the_service_go_by_the_address_of_the_page(
    page: Page, url: str, connections: Connections
) -> None:
    """Behind something that ends TLS the service does not know it; and a page from https may not send to http."""
    wrong = complaints(page)

    def elsewhere(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        for upload in told["uploads"]:
            upload["put"]["url"] = upload["put"]["url"].replace(url, "http://facemem.internal:8400")
        route.fulfill(response=answer, json=told)

    page.route(ANNOUNCEMENTS, elsewhere)
    page.goto(url)
    choose(page, small(1), small(2))
    send(page)
    expect(page.get_by_text("2 images")).to_be_visible()
    assert names(connections) == ["1.jpg", "2.jpg"]
    assert wrong == []


def test_a_storage_that_cannot_be_reached_is_told_apart_from_the_service(page: Page, url: str) -> None:
    def elsewhere(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        for upload in told["uploads"]:
            upload["put"]["url"] = "http://127.0.0.1:9/bucket/uploads/1?X-Amz-Signature=0"
        route.fulfill(response=answer, json=told)

    page.route(ANNOUNCEMENTS, elsewhere)
    page.goto(url)
    choose(page, small(1))
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("Storage cannot be reached from this browser")
    expect(page.get_by_role("alert")).to_contain_text(f"allow PUT from {url} (CORS)")
    page.route("**/healthz", lambda route: route.abort("internetdisconnected"))
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")


@pytest.mark.parametrize("settings", [{"uploads_at_once": 4}], indirect=True)
def test_no_more_files_are_announced_at_once_than_the_service_allows(
    page: Page, url: str, connections: Connections
) -> None:
    announced: list[int] = []

    def count(asked: Request) -> None:
        if asked.url.endswith("/v1/uploads"):
            announced.append(len(json.loads(asked.post_data or "")["files"]))

    page.on("request", count)
    page.goto(url)
    choose(page, *map(small, range(9)))
    send(page)
    expect(page.get_by_text("9 images")).to_be_visible()
    assert announced == [4, 4, 1]
    assert names(connections) == [f"{number}.jpg" for number in range(9)]


def test_names_that_strangers_chose_are_text_before_they_are_sent(
    page: Page, url: str, connections: Connections
) -> None:
    wrong = complaints(page)
    page.goto(url)
    choose(page, packed(small(1), {"name": f"{HOSTILE}.jpg", "mimeType": "", "buffer": b""}, name=f"{HOSTILE}.zip"))
    expect(page.get_by_text("onerror").first).to_be_visible()
    page.get_by_text("1 file will be left out").click()
    harmless(page, ".rejected .name")
    page.get_by_role("button", name="Clear").click()

    choose(page, small(1, name=HOSTILE), {"name": HOSTILE, "mimeType": "image/jpeg", "buffer": b"a text"})
    page.get_by_text("1 file will be left out").click()
    harmless(page, ".rejected .name")
    hold(page, 1)
    harmless(page, ".sent .name")
    page.unroute(PLACES)
    expect(page.get_by_text("1 image", exact=False).first).to_be_visible()
    assert rows(connections, "jobs") == 1
    assert page.evaluate("window.broken") is None
    assert wrong == []


def harmless(page: Page, where: str) -> None:
    """The hostile name stands there as it is, and turns round nothing beside it."""
    name = page.locator(where).first
    expect(name).to_contain_text("<img src=x onerror=")
    expect(name).to_have_css("unicode-bidi", "isolate")
    assert page.locator("main img[src=x]").count() == 0


def with_a_password(archive: FilePayload) -> FilePayload:
    """The same as if its first member were encrypted: that is said in its head and in the directory."""
    content = bytearray(archive["buffer"])
    content[content.index(b"PK\3\4") + 6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return {**archive, "buffer": bytes(content)}


REFUSED = [
    pytest.param(with_a_password(packed(small(1), small(2))), "1 with a password", 422, id="encrypted"),
    pytest.param(packed(small(1), method=ZIP_LZMA), "1 packed in a way that the service cannot unpack", 422, id="lzma"),
    pytest.param(
        packed({"name": "a.jpg", "mimeType": "", "buffer": bytes(80 * MIB)}, method=ZIP_DEFLATED),
        "1 more than 50 times as large when it is unpacked",
        413,
        id="bomb",
    ),
    pytest.param(
        {**(whole := packed(small(1))), "buffer": whole["buffer"] + b"more"}, "1 not a whole zip file", 400, id="longer"
    ),
]


@pytest.mark.parametrize(("archive", "said", "status"), REFUSED)
def test_what_the_service_will_refuse_in_a_zip_is_said_before(
    page: Page, url: str, client: FlaskClient, archive: FilePayload, said: str, status: int
) -> None:
    page.goto(url)
    choose(page, archive)
    expect(page.get_by_text(f"1 file will be left out: {said}")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    answer = client.post("/v1/jobs", data=archive["buffer"], content_type="application/zip")
    problem(answer, status, answer.get_json()["code"])
