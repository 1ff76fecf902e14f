"""The page for people, on the whole system, in a real browser: from a set to its reasons, and to nothing left."""

import re
from importlib.metadata import version

from playwright.sync_api import Page, expect

from tests.browser import browser_page, complaints, inaccessible
from tests.kept import kept
from tests.system.conftest import Start

PATIENCE = 120_000  # ms
WORDS = "A broad smile, teeth showing, and wide open eyes."


def pictured(page: Page, name: str) -> None:
    page.screenshot(path=kept(f"{name}.png"), full_page=name not in ("face", "phone"))


def test_from_a_sample_set_to_its_reasons_and_to_nothing_left(start: Start) -> None:
    with start() as running, browser_page(viewport={"width": 1180, "height": 900}, locale="en") as page:
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        wrong = complaints(page)
        page.goto(running.url)
        expect(page.get_by_role("button", name="Try a sample set")).to_be_visible()
        assert inaccessible(page) == []
        pictured(page, "empty")
        page.get_by_role("button", name="Try a sample set").click()
        expect(page.get_by_role("heading", name="Sample set")).to_be_visible()
        under_way = page.get_by_text(re.compile(r"^[1-9]\d* done")).first
        expect(under_way.or_(page.get_by_text("Completed"))).to_be_visible()
        pictured(page, "running")
        expect(page.get_by_text("Completed")).to_be_visible()
        expect(page.locator(".card")).to_have_count(11)
        assert inaccessible(page) == []
        pictured(page, "gallery")
        look_at_a_face(page)
        look_at_the_set(page)
        look_at_the_system(page)
        look_otherwise(page)
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete for good").click()
        assert "Deleted: 12 images and all that was made of them." in page.locator(".notice").inner_text()
        assert running.scalar("select count(*) from images") == 0
        assert wrong == []


def look_at_a_face(page: Page) -> None:
    """A word lights up its regions, a region its words; other words give another score."""
    page.locator(".card").first.click()
    face = page.get_by_role("dialog")
    word = face.locator(".word").first
    expect(word).to_be_visible()
    expect(face.locator(".photograph img")).to_be_visible()
    everything = drawn(page)
    word.focus()
    assert drawn(page) != everything
    face.locator(".region").nth(24).focus()
    expect(face.locator(".word.lit").first).to_be_visible()
    expect(face.get_by_text("this face, and its interval")).to_be_visible()
    assert inaccessible(page) == []
    pictured(page, "face")
    face.get_by_text("What if it were described otherwise?").click()
    face.get_by_label("Other words for this face").fill(WORDS)
    face.get_by_role("button", name="Score these words").click()
    expect(face.get_by_text("Other words change the score by")).to_be_visible()
    page.keyboard.press("Escape")
    expect(face).to_have_count(0)
    assert page.url.endswith("/faces")


def drawn(page: Page) -> str:
    return page.evaluate("document.querySelector('.heat canvas').toDataURL()")


def look_at_the_set(page: Page) -> None:
    page.get_by_role("link", name="Insights").click()
    expect(page.get_by_role("heading", name="Beside another set")).to_be_visible()
    page.get_by_role("button", name="Show as a table").first.click()
    expect(page.get_by_role("columnheader", name="Faces of this set")).to_be_visible()
    assert inaccessible(page) == []
    pictured(page, "insights")
    page.get_by_role("link", name="Set aside (4)").click()
    expect(page.get_by_text("No face was found")).to_have_count(3)
    expect(page.locator(".aside").get_by_text("Damaged or cut off", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Try again: Damaged or cut off")).to_be_visible()
    assert inaccessible(page) == []


def look_at_the_system(page: Page) -> None:
    """Who is at work, and with which model; and back."""
    here = page.url
    page.get_by_role("link", name="System").click()
    expect(page.get_by_text("All parts answer and work goes on.")).to_be_visible()
    at_work = page.get_by_role("table", name="At work")
    for work in ["Serve requests", "Hand out work", "Find faces", "Describe", "Look and read", "Score"]:
        expect(at_work.get_by_role("row").filter(has_text=work).first).to_contain_text(version("facemem"))
    expect(page.get_by_text("synthetic faces").first).to_be_visible()
    assert inaccessible(page) == []
    pictured(page, "system")
    page.goto(here)


def look_otherwise(page: Page) -> None:
    """In the dark, and on a phone, where nothing is wider than the screen."""
    page.get_by_role("link", name="Faces").click()
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".card")).to_have_count(11)
    assert inaccessible(page) == []
    pictured(page, "dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator(".card").first.evaluate("card => card.scrollIntoView({block: 'center'})")
    pictured(page, "phone")
