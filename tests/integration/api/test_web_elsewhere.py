"""The page while something happens elsewhere: in another tab, to its connection, to its key."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from services.api.scopes import Scope
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.in_browser import (
    WAITING,
    enter,
    key_of,
    plant_pictures,
    scroll_to_the_end,
    succeed,
    use,
)
from tests.integration.api.scored import scored_job
from tests.relay import Relay

KEYS = {"keys": "required"}
MANY = 130  # faces: more than a page of the list
GONE = "This set was deleted, with its photographs"
HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
def relay(url: str) -> Iterator[Relay]:
    where = urlsplit(url)
    with Relay((str(where.hostname), int(where.port or 0))) as door:
        yield door


def streams(page: Page) -> list[str]:
    """The streams that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/events") else None)
    return asked


def wait_for(page: Page, asked: list[str], number: int) -> None:
    while len(asked) < number:
        page.wait_for_timeout(50)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "running"])
def test_a_set_that_is_deleted_in_another_tab_is_said_to_be(
    page: Page, url: str, connections: Connections, ended: bool
) -> None:
    images = [] if ended else [{}, WAITING]
    job = scored_job(connections.database, [[0.5], [0.6]], images=images, ended=ended)
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card").first).to_be_visible()
    assert page.request.delete(f"{url}/v1/jobs/{job}").ok
    expect(page.get_by_text(GONE)).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_role("link", name="To your sets").click()
    expect(page.get_by_role("heading", name="Which faces stay in mind?")).to_be_visible()


def test_a_list_that_cannot_go_on_says_so_and_asks_no_more(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "cursor=" in request.url else None)
    refusal = {"code": "invalid_cursor", "detail": "This is no cursor of this list."}
    page.route("**/faces?*cursor=*", lambda route: route.fulfill(status=400, json=refusal))
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_text("The first 100")).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("alert").filter(has_text="no cursor of this list")).to_be_visible()
    page.wait_for_timeout(3_000)
    assert len(asked) == 1


def test_a_list_goes_on_when_the_service_is_back(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    page.route("**/faces?*cursor=*", lambda route: route.abort())
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_text("The first 100")).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    trouble = page.get_by_role("alert").filter(has_text="cannot be reached")
    expect(trouble).to_contain_text("This page tries again.")
    page.unroute("**/faces?*cursor=*")
    scroll_to_the_end(page, MANY)
    expect(trouble).to_have_count(0)


def test_a_stream_that_was_cut_is_taken_up_again(page: Page, relay: Relay, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], [], []], images=[{}, WAITING, WAITING], ended=False)
    asked = streams(page)
    page.goto(f"http://127.0.0.1:{relay.port}/#/jobs/{job}")
    expect(page.locator(".stages")).to_be_visible()
    wait_for(page, asked, 1)
    relay.shut()
    trouble = page.get_by_role("alert").filter(has_text="cannot be reached")
    expect(trouble).to_contain_text("This page tries again.")
    succeed(connections, job, 1, 0.7)
    relay.open()
    expect(page.locator(".live")).to_contain_text("2 scored")
    expect(trouble).to_have_count(0)
    expect(page.locator(".card strong")).to_have_text(["0.70", "0.50"])


def test_the_end_of_a_set_is_told_by_its_stream_alone(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, WAITING], ended=False)
    asked = streams(page)
    page.goto(f"{url}/#/jobs/{job}")
    wait_for(page, asked, 1)
    page.route(re.compile(f"/v1/jobs/{job}$"), lambda route: route.abort())
    succeed(connections, job, 1, 0.7)
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    expect(page.locator(".live .state")).to_have_text("Completed")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_a_stream_that_has_fallen_silent_is_given_up(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, WAITING], ended=False)
    asked = streams(page)
    page.clock.install()
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".stages")).to_be_visible()
    wait_for(page, asked, 1)
    page.wait_for_timeout(500)
    page.clock.fast_forward(46_000)
    wait_for(page, asked, 2)
    succeed(connections, job, 1, 0.7)
    expect(page.locator(".live")).to_contain_text("2 scored")


def test_nothing_is_asked_while_the_tab_is_hidden(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, WAITING], ended=False)
    asked = streams(page)
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url) if request.url.endswith("/events") else None)
    page.goto(f"{url}/#/jobs/{job}")
    wait_for(page, asked, 1)
    page.wait_for_timeout(500)
    page.evaluate(HIDDEN, True)
    wait_for(page, ended, 1)
    succeed(connections, job, 1, 0.7)
    page.wait_for_timeout(3_000)
    expect(page.locator(".live")).to_contain_text("1 scored")
    assert len(asked) == 1
    page.evaluate(HIDDEN, False)
    expect(page.locator(".live")).to_contain_text("2 scored")
    assert len(asked) == 2


def test_where_too_many_watch_the_page_looks_from_time_to_time(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, WAITING], ended=False)
    asked = streams(page)
    busy = {"code": "watchers_busy", "detail": "Too many streams are open at the same time."}
    page.route("**/events", lambda route: route.fulfill(status=503, json=busy))
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".stages")).to_be_visible()
    succeed(connections, job, 1, 0.7)
    expect(page.locator(".live")).to_contain_text("2 scored")
    expect(page.get_by_role("alert").filter(has_text="streams")).to_have_count(0)
    assert len(asked) == 1


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_another_key_in_an_open_tab_is_another_who(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]], explained=True)
    plant_pictures(connections, job)
    crops: list[str] = []
    page.on("request", lambda request: crops.append(request.url) if request.url.endswith("/crop") else None)
    page.goto(f"{url}/#/jobs/{job}")
    enter(page, key_of(connections, "an admin", *Scope))
    expect(page.locator(".card img")).to_have_js_property("naturalWidth", 224)
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    expect(page.get_by_role("link", name="Keys")).to_be_visible()
    with connections.database.begin() as connection:
        connection.execute(text("update api_keys set revoked_at = now()"))
    page.get_by_role("link", name="Insights").click()
    expect(page.get_by_text("The key is not known here, or not any more.")).to_be_visible()
    assert len(crops) == 1
    enter(page, key_of(connections, "a reader", Scope.READ))
    expect(page.get_by_role("heading", name="Beside another set")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    expect(page.get_by_role("link", name="Keys")).to_be_hidden()
    page.get_by_role("link", name="Faces").click()
    expect(page.locator(".card img")).to_have_js_property("naturalWidth", 224)
    assert len(crops) == 2


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_a_key_is_forgotten_when_one_says_so(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    enter(page, key_of(connections, "mine", Scope.READ))
    page.get_by_role("button", name="Forget my key").click()
    expect(page.get_by_text("This service asks for a key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_pictures_of_a_deleted_set_are_not_kept(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]])
    plant_pictures(connections, job)
    use(page, key_of(connections, "an admin", *Scope))
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card img")).to_have_js_property("naturalWidth", 224)
    address = page.locator(".card img").get_attribute("src")
    assert address.startswith("blob:")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Deleted: 1 image")).to_be_visible()
    found = page.evaluate(
        """address => new Promise(done => {
            const image = new Image();
            image.onload = () => done(true);
            image.onerror = () => done(false);
            image.src = address;
        })""",
        address,
    )
    assert not found


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_readers_are_not_offered_what_they_may_not(page: Page, url: str, connections: Connections) -> None:
    images = [{}, {"state": "failed", "stage": "detection", "reason": "too_large"}]
    job = scored_job(connections.database, [[0.5], []], images=images, explained=True)
    plant_pictures(connections, job)
    page.goto(f"{url}/#/jobs/{job}")
    enter(page, key_of(connections, "a reader", Scope.READ))
    why = page.get_by_label("Failures by reason")
    expect(why).to_contain_text("Too large · 1 image · can be tried again")
    expect(why.get_by_role("button")).to_have_count(0)
    page.locator(".card").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".word").first).to_be_visible()
    expect(dialog.get_by_text("What if")).to_have_count(0)


def test_failures_of_a_cancelled_set_are_told_too(page: Page, url: str, connections: Connections) -> None:
    images = [{}, {"state": "failed", "stage": "detection", "reason": "too_large"}]
    job = scored_job(connections.database, [[0.5], []], images=images, state="cancelled")
    page.goto(f"{url}/#/jobs/{job}")
    why = page.get_by_label("Failures by reason")
    expect(why).to_contain_text("Too large · 1 image · cannot be tried again")
    expect(page.get_by_role("button", name=re.compile("again"))).to_have_count(0)


def test_insights_come_when_there_are_scores(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[], []], images=[WAITING, WAITING], ended=False)
    page.goto(f"{url}/#/jobs/{job}/insights")
    expect(page.get_by_text("No face has a score yet.")).to_be_visible()
    succeed(connections, job, 0, 0.4, 0.6)
    expect(page.get_by_text("2 faces: mean 0.50")).to_be_visible()
    page.get_by_role("button", name="Show as a table").first.click()
    succeed(connections, job, 1, 0.5)
    page.get_by_role("button", name="Show what has been scored since").click()
    expect(page.get_by_text("3 faces: mean 0.50")).to_be_visible()
