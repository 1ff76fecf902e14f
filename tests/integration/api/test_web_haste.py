"""The page under quick hands: who does not wait for an answer is not shown another's, and loses nothing."""

from playwright.sync_api import Page, Route, expect
from sqlalchemy import text

from shared.pipeline.connections import Connections
from tests.integration.api.conftest import rows
from tests.integration.api.in_browser import choose, plant_pictures, scroll_to_the_end, small, until
from tests.integration.api.scored import recount, scored_job

MANY = 130  # more than a page of the list
REFRESHED = 6_000  # ms, in which the list of sets is asked for again


def test_a_set_that_is_paused_and_goes_on_is_followed_once(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], [0.6]], ended=False, name="on and off")
    with connections.database.begin() as connection:
        connection.execute(text("update images set stage = 'detection', state = 'ready' where position = 0"))
        connection.execute(text("update job_counts set images = 1"))
        connection.execute(text("insert into job_counts values (:job, 'detection', 'ready', 1)"), {"job": job})
    streams: list[str] = []
    page.on("request", lambda asked: streams.append(asked.url) if asked.url.endswith("/events") else None)
    page.goto(f"{url}/#/jobs/{job}")
    for _ in range(4):
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause").focus()
    with connections.database.begin() as connection:
        connection.execute(text("update images set stage = 'captioning' where position = 0"))
        recount(connection, job)
    expect(page.get_by_role("listitem").filter(has_text="Find faces")).to_contain_text("2 done")
    assert page.evaluate("document.activeElement.textContent") == "Pause"
    assert len(streams) == 1


def test_another_order_is_not_mixed_with_the_one_before(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    held: list[Route] = []
    page.route("**/v1/jobs/*/faces?*cursor=*", lambda route: route.continue_() if held else held.append(route))
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card").first).to_contain_text("#1")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_text("The first 100")).to_be_visible()
    until(page, lambda: held, "the second page of the list is asked for")
    page.get_by_label("Order").select_option("score")
    page.evaluate("window.scrollTo(0, 0)")
    expect(page.locator(".card").first).to_contain_text(f"#{MANY}")
    held[0].continue_()
    scroll_to_the_end(page, MANY)
    expect(page.locator(".card").last).to_contain_text("#1")


def test_who_turns_the_pages_of_a_face_stays_on_the_button(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.7], [0.6], [0.5]], explained=True)
    plant_pictures(connections, job)
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("1.jpg", "2.jpg"):
        expect(dialog.get_by_role("button", name="Next face")).to_be_enabled()
        dialog.get_by_role("button", name="Next face").focus()
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("heading", name=name)).to_be_visible()
        if name == "1.jpg":
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Next face"


def test_looking_elsewhere_while_a_set_is_sent(page: Page, url: str, connections: Connections) -> None:
    """It is sent all the same, also files deep in folders; whoever reads something is not taken away from it."""
    page.goto(url)
    held: list[Route] = []
    page.route("**/v1/uploads/*/content*", lambda route: held.append(route))
    choose(page, small(1, name=f"{'deep ' * 45}.jpg"))
    page.get_by_role("button", name="Send", exact=True).click()
    until(page, lambda: held, "the file is on its way")
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    page.get_by_role("link", name="Sets").click()
    expect(page.get_by_text("0 of 1 file")).to_be_visible()
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_text("Your set was sent.")).to_be_visible()
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    assert rows(connections, "jobs") == 1


def test_stop_is_heard_while_the_service_is_away(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    page.route("**/v1/uploads", lambda route: route.fulfill(status=429, headers={"Retry-After": "60"}, json={}))
    choose(page, small(1))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Next try in")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_focused()
    assert rows(connections, "jobs") == 0


def test_the_list_of_sets_stays_under_somebodys_hands(page: Page, url: str, connections: Connections) -> None:
    """What has not changed is not drawn anew; what has is, and whoever was there with the keyboard still is."""
    job = scored_job(connections.database, [[0.5]], name="one of mine")
    page.clock.install()
    page.goto(url)
    page.get_by_role("link", name="one of mine").focus()
    page.evaluate("document.activeElement.drawn = 'once'")
    for _ in range(2):
        with page.expect_response("**/v1/jobs?limit=*"):
            page.clock.run_for(REFRESHED)
    assert page.evaluate("document.activeElement.drawn") == "once"
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set name = 'one of yours' where id = :job"), {"job": job})
    page.clock.run_for(REFRESHED)
    expect(page.get_by_role("link", name="one of yours")).to_be_focused()


def test_the_list_of_sets_is_asked_for_once_at_a_time(page: Page, url: str) -> None:
    """However long the service takes to answer."""
    page.clock.install()
    page.goto(url)
    expect(page.get_by_role("heading", name="Which faces")).to_be_visible()
    held: list[Route] = []
    page.route("**/v1/jobs?limit=*", lambda route: held.append(route))
    page.clock.run_for(10 * REFRESHED)
    until(page, lambda: held, "the list is asked for again")
    assert len(held) == 1
    with page.expect_response("**/v1/jobs?limit=*"):
        held[0].continue_()
    page.clock.run_for(REFRESHED)
    until(page, lambda: len(held) == 2, "the list is asked for once more")


def test_what_a_system_without_its_database_lacks_is_said(page: Page, url: str) -> None:
    away = {"status": "unavailable", "checks": {"database": "OperationalError"}, "degraded": []}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=away))
    page.route(
        "**/v1/**", lambda route: route.fulfill(status=503, json={"code": "x", "detail": "The database is away."})
    )
    page.goto(f"{url}/#/system")
    expect(page.get_by_text("The service cannot work.")).to_be_visible()
    expect(page.get_by_role("cell", name="OperationalError")).to_be_visible()
