"""The page for people, in a real browser, on sets of every kind."""

import tarfile
import threading
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text
from werkzeug.serving import make_server

from services.api.factory import create_app
from services.api.keys import stored
from services.api.scopes import Scope
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import complaints, inaccessible
from tests.integration.api.conftest import rows
from tests.integration.api.in_browser import (
    HOSTILE,
    MOST_IMAGES,
    choose,
    plant_pictures,
    scroll_to_the_end,
    small,
    tab_to,
)
from tests.integration.api.scored import scored_job

MANY = 1_200


def test_what_will_be_left_out_is_said_before_anything_is_sent(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    choose(
        page,
        small(1),
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff" + bytes(2000)},
        {"name": "none.jpg", "mimeType": "image/jpeg", "buffer": b"a text"},
        {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
    )
    expect(page.get_by_text("1 photograph,")).to_be_visible()
    summary = page.get_by_text("3 files will be left out").inner_text()
    assert summary.endswith(": 1 too large, 1 not a JPEG, PNG or WebP file, 1 empty")
    page.get_by_text("Paste links instead").click()
    page.get_by_label("One link in each line").fill("https://example.org/a.jpg\ngopher://example.org/b.jpg")
    expect(page.get_by_text("and 1 link", exact=False).first).to_be_visible()
    expect(page.get_by_text("3 files and 1 link will be left out")).to_be_visible()
    choose(page, *map(small, range(2, 2 + MOST_IMAGES)))
    expect(page.get_by_text(f"A set may have {MOST_IMAGES} images")).to_be_visible()
    assert rows(connections, "uploads") == rows(connections, "jobs") == 0


def test_an_archive_is_looked_into_and_sent_whole(page: Page, url: str, connections: Connections) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for number in range(2):
            archive.writestr(f"shoot/{number}.jpg", small(number)["buffer"])
        archive.writestr("shoot/notes.txt", "not for scoring")
        archive.writestr("shoot/large.jpg", b"\xff\xd8\xff" + bytes(2000), ZIP_DEFLATED)
    page.goto(url)
    choose(page, {"name": "shoot.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}, small(7))
    expect(page.get_by_text("An archive is a set of its own")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    choose(page, {"name": "shoot.zip", "mimeType": "application/zip", "buffer": packed.getvalue()})
    expect(page.get_by_text("shoot.zip, 1.7 KB: 4 files")).to_be_visible()
    expect(page.get_by_text("1 file will be left out: 1 too large")).to_be_visible()
    expect(page.get_by_text("1 file is not named as a photograph, and will be set aside if not one")).to_be_visible()
    page.get_by_label("Name").fill("packed")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("heading", name="packed")).to_be_visible()
    with connections.database.connect() as connection:
        told = connection.execute(text("select name, reason from images order by name")).all()
    assert [tuple(each) for each in told] == [
        ("shoot/0.jpg", None),
        ("shoot/1.jpg", None),
        ("shoot/large.jpg", "too_large"),
        ("shoot/notes.txt", None),  # detection will say
    ]


LONG_NAME = "shoot/" + "ü" * 120 + ".jpg"
LEFT_OUT = (
    ("shoot/notes.txt", "not a JPEG, PNG or WebP file"),
    ("shoot/empty.jpg", "empty"),
    ("shoot/large.jpg", "too large"),
    ("shoot/link.jpg", "a link or the like, and no file"),
)


def tarred(form: int, packed: str) -> bytes:
    """Two photographs, four files that will be left out, and what nobody put there."""
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode=f"w{packed}", format=form) as archive:

        def add(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "0.jpg"
            archive.addfile(member, BytesIO(content))

        add("shoot", kind=tarfile.DIRTYPE)
        add("./shoot/0.jpg", small(0)["buffer"])
        add(LONG_NAME, small(1)["buffer"])
        add("shoot/notes.txt", b"not for scoring")
        add("shoot/empty.jpg")
        add("shoot/large.jpg", b"\xff\xd8\xff" + bytes(2000))
        add("shoot/link.jpg", kind=tarfile.SYMTYPE)
        add("__MACOSX/shoot/0.jpg", b"left over")
    return whole.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("packed", ["", ":gz"], ids=["plain", "gzip"])
def test_a_tar_is_looked_into(page: Page, url: str, connections: Connections, form: int, packed: str) -> None:
    page.goto(url)
    content = tarred(form, packed)
    choose(page, {"name": "cut.tar", "mimeType": "", "buffer": content[:700]})
    choose(page, {"name": "other.tar", "mimeType": "", "buffer": b"this is no tar" * 100})
    said = "2 not a whole tar file" if not packed else "1 not a whole tar file"
    expect(page.get_by_text(said)).to_be_visible()
    page.get_by_role("button", name="Clear").click()

    choose(page, {"name": "shoot.tar", "mimeType": "", "buffer": content})
    expect(page.get_by_text(": 6 files")).to_be_visible()
    page.get_by_text("4 files will be left out").click()
    for name, wrong in LEFT_OUT:
        expect(page.get_by_role("listitem").filter(has_text=f"shoot.tar: {name}")).to_contain_text(wrong)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("heading", name="Set of")).to_be_visible()
    with connections.database.connect() as connection:
        told = dict(connection.execute(text("select name, reason from images")).all())
    assert set(told) == {"./shoot/0.jpg", LONG_NAME, *(name for name, _ in LEFT_OUT)}


def test_a_lost_connection_costs_nothing_that_has_arrived(page: Page, url: str, connections: Connections) -> None:
    wrong = complaints(page)
    page.goto(url)
    sent: list[str] = []
    page.on("requestfinished", lambda asked: sent.append(asked.url) if asked.method == "PUT" else None)
    choose(page, *map(small, range(9)))
    places = "**/v1/uploads/*/content*"
    page.route(places, lambda route: route.abort("internetdisconnected") if len(sent) >= 2 else route.continue_())
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    assert rows(connections, "jobs") == 0
    page.unroute(places)
    expect(page.get_by_text("9 images")).to_be_visible()
    assert rows(connections, "images") == 9
    assert rows(connections, "jobs") == 1
    assert len(sent) == len(set(sent)) == 9
    assert wrong == []


def test_the_same_files_chosen_again_are_not_sent_again(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    sent: list[str] = []
    page.on("requestfinished", lambda asked: sent.append(asked.url) if asked.method == "PUT" else None)
    page.route("**/v1/jobs", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    choose(page, *map(small, range(3)))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    assert len(sent) == 3
    page.unroute("**/v1/jobs")
    page.on("dialog", lambda asked: asked.accept())
    page.reload()
    choose(page, *map(small, range(3)))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("3 images")).to_be_visible()
    assert len(sent) == 3
    assert rows(connections, "images") == 3


def test_what_strangers_write_is_text(page: Page, url: str, connections: Connections) -> None:
    face = {"score": 0.5, "caption": HOSTILE}
    job = scored_job(
        connections.database, [[face], []], explained=True, images=[{"name": HOSTILE}, {"name": HOSTILE}], name=HOSTILE
    )
    plant_pictures(connections, job)
    wrong = complaints(page)
    page.goto(f"{url}/#/jobs/{job}/set-aside")
    expect(page.get_by_role("heading", name="<script>")).to_be_visible()
    page.get_by_role("link", name="Faces").click()
    page.locator(".card").click()
    expect(page.get_by_role("dialog").locator(".word").first).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("onerror").first).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert page.locator("main img[src=x], dialog img[src=x]").count() == 0
    assert wrong == []


def test_a_long_list_has_few_elements_and_goes_to_its_end(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card").first).to_contain_text("#1")
    scroll_to_the_end(page, MANY)
    expect(page.get_by_text(f"#{MANY:,}", exact=True)).to_be_visible()
    assert page.locator(".card").count() < 120


def test_the_keyboard_is_enough(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.6], [0.5]], explained=True, name="by hand")
    plant_pictures(connections, job)
    page.goto(url)
    expect(page.get_by_role("link", name="by hand")).to_be_visible()
    tab_to(page, "by hand")
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(2)
    tab_to(page, "#1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="1.jpg")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("heading", name="0.jpg")).to_be_visible()
    expect(dialog.locator(".word", has_text="smile")).to_be_visible()
    tab_to(page, "smile")
    expect(dialog.get_by_text("“smile” adds")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert inaccessible(page) == []


def test_with_a_key_all_is_as_without(page: Page, settings: Settings, connections: Connections) -> None:
    """Asked for once, it goes with every request, also for pictures. Readers are offered only what they may."""
    app = create_app(settings.model_copy(update={"keys": "required"}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    job = scored_job(connections.database, [[0.6]], explained=True, name="behind a key")
    plant_pictures(connections, job)
    with connections.database.begin() as connection:
        admin = stored.create(connection, "local", "open", "the first", list(Scope), None)[0]
    page.goto(f"{url}/#/keys")
    page.get_by_role("textbox", name="Key").fill(admin)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_label("Name").fill("a reader")
    page.get_by_label("send sets").uncheck()
    page.get_by_role("button", name="Make a key").click()
    reader = page.locator(".made code").inner_text()
    expect(page.get_by_role("cell", name="a reader", exact=True)).to_be_visible()
    assert inaccessible(page) == []
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card img")).to_have_js_property("naturalWidth", 224)
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    page.reload()  # nothing is known from the gallery then
    page.locator(".card").first.click()
    expect(page.get_by_role("dialog").locator(".heat img")).to_have_js_property("naturalWidth", 224)
    page.keyboard.press("Escape")
    page.evaluate("key => sessionStorage.setItem('facemem.key', key)", reader)
    page.reload()
    expect(page.locator(".card")).to_have_count(1)
    assert page.get_by_role("button", name="Delete").count() == 0
    expect(page.get_by_role("link", name="Keys")).to_be_hidden()
    server.shutdown()
    app.extensions["facemem"].database.dispose()
