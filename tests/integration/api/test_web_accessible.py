"""The page in the states that pass, to those who see it otherwise or not at all: axe finds no barrier, in the light and
in the dark, and what is said is said where it is heard.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from services.api.scopes import Scope
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import inaccessible
from tests.integration.api.in_browser import WAITING, enter, failed, key_of, plant_pictures
from tests.integration.api.scored import scored_job

KEYS = {"keys": "required"}
NOWHERE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture(params=["light", "dark"])
def shown(page: Page, request: pytest.FixtureRequest) -> Page:
    """The page in one of its two schemes."""
    page.emulate_media(color_scheme=request.param)
    return page


def test_a_set_that_runs_and_what_is_asked_before_it_ends(shown: Page, url: str, connections: Connections) -> None:
    images = [
        {},
        WAITING,
        failed("too_large"),
        WAITING | {"reason": "captioner_unavailable", "detail": "Ollama is away."},
    ]
    job = scored_job(
        connections.database, [[0.5], [], [], []], images=images, ended=False, bundle=find("compact").digest
    )
    shown.goto(f"{url}/#/jobs/{job}")
    expect(shown.get_by_role("button", name="Try again: Too large")).to_be_visible()
    expect(shown.locator(".card .bar").first).to_be_attached()
    assert inaccessible(shown) == []
    shown.get_by_role("button", name="Cancel", exact=True).click()
    expect(shown.get_by_role("dialog")).to_be_visible()
    assert inaccessible(shown) == []


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_the_question_for_a_key(shown: Page, url: str) -> None:
    shown.goto(url)
    expect(shown.get_by_role("dialog")).to_be_visible()
    assert inaccessible(shown) == []
    enter(shown, "fm_none")
    expect(shown.get_by_text("The key is not known here")).to_be_visible()
    assert inaccessible(shown) == []


@pytest.fixture
def answered(page: Page, url: str) -> Callable[[Any], None]:
    """A function that has what-ifs answered as if workers were there; it is given the face that is scored."""

    def answer(face: Any) -> None:
        other = face | {"score": 0.61, "caption": "a broad smile", "what_if_of": face["id"]}
        result = {"results": [{"faces": [other]}], "next_cursor": None}
        page.route("**/v1/faces/*/rescore", lambda route: route.fulfill(json={"id": NOWHERE, "state": "running"}))
        page.route(f"**/v1/jobs/{NOWHERE}?*", lambda route: route.fulfill(json={"id": NOWHERE, "state": "completed"}))
        page.route(f"**/v1/jobs/{NOWHERE}/results", lambda route: route.fulfill(json=result))

    return answer


def test_a_face_under_other_words(
    shown: Page, url: str, connections: Connections, answered: Callable[[Any], None]
) -> None:
    job = scored_job(connections.database, [[0.5], [0.4]], explained=True, bundle=find("compact").digest)
    plant_pictures(connections, job)
    shown.goto(f"{url}/#/jobs/{job}")
    answered(shown.request.get(f"{url}/v1/jobs/{job}/faces").json()["faces"][0])
    shown.locator(".card").first.click()
    dialog = shown.get_by_role("dialog")
    expect(dialog).to_contain_text("rank 1 of 2 in this set, 75th percentile of it")
    expect(dialog).to_contain_text("854 of its 1,004 synthetic faces")
    dialog.get_by_text("What if it were described otherwise?").click()
    dialog.get_by_role("button", name="Score these words").click()
    expect(dialog.get_by_text("Other words change the score by +0.110.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Score these words")).to_be_enabled()
    assert inaccessible(shown) == []


def test_a_what_if_is_asked_for_once_and_given_up_with_its_dialog(
    page: Page, url: str, connections: Connections
) -> None:
    job = scored_job(connections.database, [[0.5], [0.4]], explained=True)
    plant_pictures(connections, job)
    held: list[Route] = []
    ended: list[str] = []
    page.route("**/rescore", lambda route: held.append(route))
    page.on("requestfailed", lambda request: ended.append(request.url) if "rescore" in request.url else None)
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("What if it were described otherwise?").click()
    dialog.get_by_role("button", name="Score these words").click()
    expect(dialog.get_by_role("button", name="Score these words")).to_be_disabled()
    dialog.get_by_label("Other words for this face").press("Control+Enter")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    while not ended:
        page.wait_for_timeout(50)
    assert len(held) == 1
    expect(page.locator(".card").first).to_be_focused()


def test_a_face_that_is_not_there_yet_can_be_left_and_turned(page: Page, url: str, connections: Connections) -> None:
    """Whoever goes on does not see what was wrong with the one before."""
    job = scored_job(connections.database, [[0.5], [0.4]], explained=True)
    plant_pictures(connections, job)
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card")).to_have_count(2)
    held: list[Route] = []
    page.route("**/v1/faces/*", lambda route: route.continue_() if held else held.append(route))
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Close")).to_be_visible()
    expect(dialog.get_by_role("button", name="Next face")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading", name="1.jpg")).to_be_visible()
    expect(dialog.locator(".word").first).to_be_visible()
    held[0].fulfill(status=500, json={"detail": "A fault of the service."})
    page.wait_for_timeout(500)
    expect(dialog.get_by_text("A fault of the service.")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".card").last).to_be_focused()


def test_what_goes_wrong(shown: Page, url: str) -> None:
    shown.goto(f"{url}/#/jobs/{NOWHERE}")
    expect(shown.get_by_role("heading", name="This set is not here")).to_be_visible()
    assert inaccessible(shown) == []
    shown.route("**/v1/jobs?*", lambda route: route.abort())
    shown.get_by_role("link", name="To your sets").click()
    expect(shown.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    assert "tries again" not in shown.locator("main").inner_text()
    assert inaccessible(shown) == []


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_notices_are_over_and_in_the_dialog_that_is_open(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]], explained=True)
    plant_pictures(connections, job)
    page.goto(f"{url}/#/jobs/{job}")
    enter(page, key_of(connections, "mine", Scope.READ))
    page.route("**/export*", lambda route: route.fulfill(status=500, json={"detail": "A fault of the service."}))
    page.get_by_role("button", name="Save CSV").click()
    notice = page.locator(".notice").filter(has_text="A fault of the service.")
    expect(notice).to_be_visible()
    page.locator(".card").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".notice")).to_have_count(1)  # it was there before
    assert dialog.locator(".notices").get_attribute("aria-live") == "polite"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("#notices .notice")).to_have_count(1)
    page.locator(".card").click()
    dialog.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
