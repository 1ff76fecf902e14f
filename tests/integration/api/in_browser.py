"""What tests of the page put into it, and into what it shows."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import UUID
from zipfile import ZIP_STORED, ZipFile

from PIL import Image as Picture
from playwright.sync_api import FilePayload, Page, expect
from sqlalchemy import text

from services.api.keys import stored
from services.api.scopes import Scope
from shared.pipeline.connections import Connections
from tests.integration.api.scored import add_faces, recount

MIB = 1024 * 1024
MOST_IMAGES = 9  # that a set may have in these tests
HOSTILE = '<img src=x onerror="window.broken = 1">\u202egnp.js \' " & <script>window.broken = 1</script>'
WAITING = {"stage": "detection", "state": "ready"}
_FOCUSED = """
    (() => {
        const { labels, innerText, ariaLabel } = document.activeElement;
        return [ariaLabel, ...[...(labels ?? [])].map((each) => each.innerText), innerText].join(" ");
    })()
"""
LOOKS, BETWEEN_LOOKS = 600, 100  # of `until`, and the milliseconds between them


def small(number: int, name: str | None = None) -> FilePayload:
    """A file of less than the thousand bytes that these tests allow."""
    buffer = BytesIO()
    Picture.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG")
    return {"name": name or f"{number}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def packed(*files: FilePayload, method: int = ZIP_STORED, name: str = "set.zip") -> FilePayload:
    archive = BytesIO()
    with ZipFile(archive, "w", method) as writing:
        for file in files:
            writing.writestr(file["name"], file["buffer"])
    return {"name": name, "mimeType": "application/zip", "buffer": archive.getvalue()}


def puts(page: Page) -> list[str]:
    """The files that are sent from now on."""
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "PUT" else None)
    return sent


def choose(page: Page, *files: FilePayload) -> None:
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(list(files))


def until(page: Page, happened: Callable[[], object], what: str) -> None:
    """Wait for something that a page does and does not show; not for ever."""
    for _ in range(LOOKS):
        if happened():
            return
        page.wait_for_timeout(BETWEEN_LOOKS)
    raise AssertionError(f"waited in vain until {what}")


def plant_pictures(connections: Connections, job: object) -> None:
    """Put a crop where each face of a job has one."""
    buffer = BytesIO()
    Picture.new("RGB", (224, 224)).save(buffer, "JPEG")
    with connections.database.connect() as connection:
        for key in connection.scalars(text("select crop_key from faces where job_id = :job"), {"job": job}):
            connections.objects.put(key, buffer.getvalue())


def failed(reason: str, stage: str = "detection") -> dict[str, Any]:
    """Columns of an image that failed."""
    return {"state": "failed", "stage": stage, "reason": reason}


def change(connections: Connections, job: UUID, statement: str) -> None:
    """Change rows of a job, which `:job` stands for, and its counters with them."""
    with connections.database.begin() as connection:
        connection.execute(text(statement), {"job": job})
        recount(connection, job)


def succeed(connections: Connections, job: UUID, position: int, *scores: float) -> None:
    """Have an image of a job succeed, with faces of these scores."""
    with connections.database.begin() as connection:
        image = connection.scalar(
            text("""
                update images set state = 'succeeded', stage = 'scoring'
                where job_id = :job and position = :position returning id
            """),
            {"job": job, "position": position},
        )
        add_faces(connection, job, image, scores)
        recount(connection, job)


def key_of(connections: Connections, name: str, *scopes: Scope) -> str:
    """A new key of the tenant that planted jobs belong to."""
    with connections.database.begin() as connection:
        return stored.create(connection, "local", "open", name, list(scopes), None)[0]


def use(page: Page, key: str) -> None:
    """Have the page know a key from its beginning."""
    page.add_init_script(f"sessionStorage.setItem('facemem.key', '{key}')")


def enter(page: Page, key: str) -> None:
    """Answer the page's question for a key."""
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def tab_to(page: Page, name: str, most: int = 80) -> None:
    """Press Tab until what is called so has the focus. Wait for it to be there before: the page may still load."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate(_FOCUSED) and page.evaluate("document.activeElement !== document.body"):
            return
    raise AssertionError(f"Tab does not come to {name!r}")


def scroll_to_the_end(page: Page, faces: int) -> None:
    """Scroll down a gallery until it says that it has shown so many faces, and there is no more."""
    all_of_them = page.get_by_text(f"{faces:,} faces.")
    for _ in range(LOOKS):
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(BETWEEN_LOOKS)
        if all_of_them.count():
            break
    expect(all_of_them).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
