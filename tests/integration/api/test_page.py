"""The page to try the API, in a real browser."""

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
from werkzeug.serving import make_server

from services.api.factory import create_app
from shared.settings import Settings
from tests.browser import browser_page


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as made:
        yield made


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_newcomer_can_try_the_api_without_another_network(page: Page, url: str) -> None:
    elsewhere: list[str] = []
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
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
    assert (elsewhere, complaints) == ([], [])


def test_what_a_page_may_not_do_is_refused_and_said(page: Page, url: str) -> None:
    """The policy holds in a real browser: a script that somebody slips into the page does not run."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(f"{url}/docs/swagger")
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.slippedIn = true';
        document.body.append(script);
    }""")
    assert page.evaluate("window.slippedIn") is None
    assert any("Content Security Policy" in said for said in complaints)


@pytest.mark.parametrize("path", ["/docs/", "/docs/swagger", "/openapi.json", "/healthz", "/v1/models", "/nowhere"])
def test_whatever_is_opened_breaks_no_policy(page: Page, url: str, path: str) -> None:
    """A browser's own viewer of JSON brings a style sheet, which is none of ours."""
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{url}{path}", wait_until="load")
    assert refused == []
