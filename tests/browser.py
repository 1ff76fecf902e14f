"""A real browser for pages, and what it complains about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tests.conftest import missing

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-sync"]


@contextmanager
def browser_page(**context: Any) -> Iterator[Page]:
    """An empty page; `context` is what Playwright's `new_context` takes, such as a colour scheme or a viewport."""
    if not CHROMIUM.exists():
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser.new_context(**context).new_page()
        browser.close()


def complaints(page: Page) -> list[str]:
    """What goes wrong on the page from now on: in its scripts, and against its policy."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda said: found.append(said.text) if "Content Security Policy" in said.text else None)
    return found


def inaccessible(page: Page) -> list[str]:
    """What axe finds of barriers, each with the elements that have it."""
    violations = Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}" for each in violations]
