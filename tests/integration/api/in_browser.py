"""What tests of the page put into it, and into what it shows."""

from io import BytesIO

from PIL import Image as Picture
from playwright.sync_api import FilePayload, Page, expect
from sqlalchemy import text

from shared.pipeline.connections import Connections

MOST_IMAGES = 9  # that a set may have in these tests


def small(number: int, name: str | None = None) -> FilePayload:
    """A file of less than the thousand bytes that these tests allow."""
    buffer = BytesIO()
    Picture.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG")
    return {"name": name or f"{number}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def choose(page: Page, *files: FilePayload) -> None:
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(list(files))


def plant_pictures(connections: Connections, job: object) -> None:
    """Put a crop where each face of a job has one."""
    buffer = BytesIO()
    Picture.new("RGB", (224, 224)).save(buffer, "JPEG")
    with connections.database.connect() as connection:
        for key in connection.scalars(text("select crop_key from faces where job_id = :job"), {"job": job}):
            connections.objects.put(key, buffer.getvalue())


def scroll_to_the_end(page: Page, faces: int) -> None:
    """Scroll down a gallery until it says that it has shown so many faces, and there is no more."""
    all_of_them = page.get_by_text(f"{faces:,} faces.")
    for _ in range(600):
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(100)
        if all_of_them.count():
            break
    expect(all_of_them).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
