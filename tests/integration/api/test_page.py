"""The page to try the API, in a real browser."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from werkzeug.serving import make_server

from services.api.factory import create_app
from shared.settings import Settings
from tests.conftest import missing

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-sync"]


@pytest.fixture
def page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser.new_page()
        browser.close()


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_newcomer_can_try_the_api_without_another_network(page: Page, url: str) -> None:
    elsewhere: list[str] = []
    page.on(
        "request", lambda request: None if request.url.startswith((url, "data:")) else elsewhere.append(request.url)
    )
    page.goto(f"{url}/docs/swagger")
    page.get_by_text("List models").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table")
    answer.wait_for()
    assert "200" in answer.inner_text()
    assert "compact" in answer.inner_text()
    assert elsewhere == []
