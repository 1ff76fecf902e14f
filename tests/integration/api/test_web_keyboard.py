"""The page by the keyboard alone, also while it changes, and however long its lists are."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from services.api.scopes import Scope
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import rows
from tests.integration.api.in_browser import WAITING, failed, key_of, plant_pictures, succeed, tab_to, use
from tests.integration.api.scored import scored_job

KEYS = {"keys": "required"}
MANY = 330  # faces: more than three pages of the list
WITH_FOCUS = "document.activeElement.getAttribute('href')"
IN_SIGHT = """
    (() => {
        const { top, bottom } = document.activeElement.getBoundingClientRect();
        return top >= 0 && bottom <= window.innerHeight;
    })()
"""


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


def test_the_focus_stays_on_a_face_while_others_come(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.7], [0.5], [], []], images=[{}, {}, WAITING, WAITING], ended=False)
    plant_pictures(connections, job)
    page.goto(f"{url}/#/jobs/{job}")
    cards = page.locator(".card")
    expect(cards).to_have_count(2)
    tab_to(page, "0.70")
    page.keyboard.press("ArrowRight")
    there = page.evaluate(WITH_FOCUS)
    page.evaluate("document.activeElement.same = true")
    succeed(connections, job, 2, 0.9, 0.6)
    expect(page.locator(".card strong")).to_have_text(["0.90", "0.70", "0.60", "0.50"])
    assert page.evaluate(WITH_FOCUS) == there
    assert page.evaluate("document.activeElement.same")
    expect(cards.last).to_contain_text("#4")
    expect(cards.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading", name="1.jpg")).to_be_visible()


def test_a_click_is_not_lost_while_the_set_grows(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, WAITING], ended=False)
    page.goto(f"{url}/#/jobs/{job}")
    card = page.locator(".card")
    expect(card).to_have_count(1)
    expect(page.locator(".card .bar").first).to_be_attached()
    card.scroll_into_view_if_needed()
    box = card.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 40)
    page.mouse.down()
    succeed(connections, job, 1, 0.4)  # so the first one stays where it is
    expect(page.locator(".card")).to_have_count(2)
    page.mouse.up()
    expect(page.get_by_role("dialog").get_by_role("heading", name="0.jpg")).to_be_visible()


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_what_follows_a_long_list_is_reached(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    use(page, key_of(connections, "mine", Scope.READ))
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_role("button", name="Forget my key")).to_be_attached()
    expect(page.locator(".card").first).to_be_visible()
    tab_to(page, "#1")
    tab_to(page, "Forget my key", most=3)
    page.wait_for_timeout(1_500)
    assert page.evaluate("document.activeElement.textContent") == "Forget my key"
    assert page.evaluate(IN_SIGHT)
    expect(page.locator("#about")).to_contain_text("facemem identifies nobody")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".card").first).to_be_focused()


def test_a_list_is_walked_with_keys(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    page.goto(f"{url}/#/jobs/{job}")
    focused = page.locator(".card:focus .rank")
    expect(page.locator(".card").first).to_be_visible()
    tab_to(page, "#1")
    columns = page.evaluate(
        "[...document.querySelectorAll('.virtual > li')].filter((e) => e.style.top === '0px').length"
    )
    for key, rank in (("ArrowRight", 2), ("ArrowDown", 2 + columns), ("ArrowLeft", 1 + columns), ("End", 100)):
        page.keyboard.press(key)
        expect(focused).to_have_text(f"#{rank}")
        assert page.evaluate(IN_SIGHT), key
    expect(page.get_by_text("The first 200")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(focused).not_to_have_text("#100")
    page.keyboard.press("Home")
    expect(focused).to_have_text("#1")
    assert page.evaluate(IN_SIGHT)
    page.keyboard.press("PageDown")
    expect(focused).not_to_have_text("#1")
    assert page.locator(".card[tabindex='0']").count() == 1


def test_faces_are_filtered_by_keys(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.9], [{"score": 0.5, "flags": ["blurred"]}], [0.3]])
    page.goto(f"{url}/#/jobs/{job}")
    scores = page.locator(".card strong")
    expect(scores).to_have_count(3)
    tab_to(page, "highest score first")
    page.keyboard.press("ArrowDown")
    expect(scores).to_have_text(["0.30", "0.50", "0.90"])
    tab_to(page, "Score from")
    page.keyboard.type("0.4")
    page.keyboard.press("Enter")
    expect(scores).to_have_text(["0.50", "0.90"])
    tab_to(page, "blurred")
    page.keyboard.press("Space")
    expect(scores).to_have_text(["0.50"])


def test_a_set_is_tried_again_and_deleted_by_keys(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], images=[{}, failed("too_large")])
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_role("button", name="Try again: Too large")).to_be_visible()
    tab_to(page, "Try again: Too large")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Tried again: 1 image.")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog")
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    assert rows(connections, "jobs") == 1
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Delete for good")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Deleted: 2 images")).to_be_visible()
    assert rows(connections, "jobs") == 0


@pytest.mark.parametrize("settings", [KEYS], indirect=True)
def test_keys_are_made_and_revoked_by_keys(page: Page, url: str, connections: Connections) -> None:
    admin = key_of(connections, "an admin", *Scope)
    old = key_of(connections, "an old one", Scope.READ)
    with connections.database.begin() as connection:
        connection.execute(
            text("update api_keys set expires_at = now() - interval '1 day' where prefix = :old"), {"old": old[:11]}
        )
    use(page, admin)
    page.goto(f"{url}/#/keys")
    expect(page.get_by_role("row").filter(has_text="an old one")).to_contain_text("expired")
    tab_to(page, "Name")
    page.keyboard.type("a script")
    page.keyboard.press("Enter")
    expect(page.locator(".made code")).to_be_visible()
    tab_to(page, "Revoke a script")
    page.keyboard.press("Enter")
    tab_to(page, "Revoke", most=3)
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text="a script")).to_contain_text("revoked")
    tab_to(page, "Revoke an admin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("It is the key that this page uses")


def test_insights_are_read_and_saved_by_keys(page: Page, url: str, connections: Connections) -> None:
    bundle = find("compact").digest
    scored_job(connections.database, [[0.4], [0.5]], name="autumn", bundle=bundle)
    job = scored_job(connections.database, [[0.5], [0.6]], name="spring", bundle=bundle)
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_role("link", name="Insights")).to_be_visible()
    tab_to(page, "Insights")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Compare with")).to_be_visible()
    tab_to(page, "Show as a table")
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Faces of this set")).to_be_visible()
    tab_to(page, "Save as a picture")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "spring.png"
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")
    tab_to(page, "Compare with")
    tab_to(page, "Compare", most=1)
    page.keyboard.press("Enter")
    expect(page.get_by_text("photographs", exact=False).last).to_be_visible()
