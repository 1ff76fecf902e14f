"""What figures and words of the page say: of whom they are, and what they rest on."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, text

from services.api import set_findings
from services.insights.associations import FEWEST
from shared.database.session import connect
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from tests.browser import complaints, inaccessible
from tests.integration.api.in_browser import HOSTILE, WAITING, plant_pictures, succeed
from tests.integration.api.scored import scored_job

SAMPLE = 20


def test_a_sample_is_said_to_be_one(
    page: Page, url: str, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_findings, "MOST_FACES", SAMPLE)
    job = scored_job(connections.database, [[number / 100] for number in range(3 * SAMPLE)])
    page.goto(f"{url}/#/jobs/{job}/insights")
    told = f"{SAMPLE} of {3 * SAMPLE} faces, chosen at random"
    expect(page.get_by_text(f"{told}: mean")).to_be_visible()
    expect(page.get_by_role("img", name=f"Scores of {told}: from")).to_be_visible()
    page.get_by_role("button", name="Show as a table").first.click()
    expect(page.get_by_role("table", name=told)).to_be_visible()


def test_scales_hold_all_of_the_set(page: Page, url: str, connections: Connections) -> None:
    """Faces of it may lie far from those that the model learned from."""
    scores = [[0.02], [0.5], [0.97]]
    job = scored_job(connections.database, scores, bundle=find("compact").digest)
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.locator(".card .bar").first).to_be_attached()
    marks = [float(each.get_attribute("x1") or "") for each in page.locator(".card .strip .mark").all()]
    assert 0 < marks[2] < marks[1] < marks[0] < 100
    expect(page.locator(".key").first).to_contain_text("faces that the model learned from")
    page.get_by_role("link", name="Insights").click()
    bars = page.locator(".chart .bar")
    expect(bars).to_have_count(len(scores))
    assert len({each.get_attribute("x") for each in bars.all()}) == len(scores)


def test_of_a_bundle_that_has_gone_nothing_is_claimed(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]], explained=True)
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("50th percentile of the faces that the model learned from;")
    expect(dialog).to_contain_text("The bundle of these scores is not here any more")
    expect(dialog.get_by_text("synthetic")).to_have_count(0)


def test_a_dialog_asks_nothing_of_the_set_that_is_known(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], [0.4]], explained=True)
    plant_pictures(connections, job)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/insights") else None)
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".chart")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading", name="1.jpg")).to_be_visible()
    expect(dialog.locator(".chart")).to_be_visible()
    assert len(asked) == 1


def test_a_set_is_known_to_a_dialog_as_soon_as_it_has_a_score(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[], []], images=[WAITING, WAITING], ended=False)
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_text("No face has a score yet.")).to_be_visible()
    succeed(connections, job, 0, 0.5)
    page.locator(".card").click()
    expect(page.get_by_role("dialog").locator(".chart")).to_be_visible()


def test_words_of_strangers_are_text_in_insights_too(page: Page, url: str, connections: Connections) -> None:
    bundle = find("compact").digest
    captions = ("Thin lips.", f"{HOSTILE} A broad smile.")
    faces = [
        [{"score": 0.3 + 0.2 * (number % 2) + 0.01 * (number % 3), "caption": captions[number % 2]}]
        for number in range(2 * FEWEST)
    ]
    scored_job(connections.database, faces, name=HOSTILE, bundle=bundle)
    job = scored_job(connections.database, faces, name=HOSTILE, bundle=bundle)
    wrong = complaints(page)
    page.goto(f"{url}/#/jobs/{job}/insights")
    expect(page.locator(".intervals li").filter(has_text="script")).to_have_count(1)
    expect(page.get_by_label("Compare with")).to_contain_text("<script>window.broken = 1</script>")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".sum").filter(has_text="onerror")).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert page.locator("main img[src=x], main script").count() == 0
    assert wrong == []


def test_what_does_not_matter_fades(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.6]], explained=True)
    plant_pictures(connections, job)
    with connections.database.begin() as connection:
        parts = b"\xcd\xcc\xcc\xbd" + bytes(4) * 4 + b"\x9a\x99\x99\x3e" + bytes(8)  # -0.1 and 0.3 as float32
        connection.execute(
            text("update explanations set rows = 2, columns = 2, contributions = :parts, attention = :parts"),
            {"parts": parts},
        )
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".word").filter(has_text="smile").hover()
    regions = dialog.locator(".region")
    veiled = [each.evaluate("each => getComputedStyle(each).backgroundColor") for each in regions.all()]
    assert [each != "rgba(0, 0, 0, 0)" for each in veiled] == [True, False, True, True]
    regions.nth(1).hover()
    expect(dialog.locator(".word.dim")).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    expect(dialog.locator(".word.lit")).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert inaccessible(page) == []
    page.mouse.move(0, 0)
    expect(dialog.locator(".dim")).to_have_count(0)


def test_a_picture_that_is_not_there_is_said_to_be_missing(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]])
    page.goto(f"{url}/#/jobs/{job}")
    picture = page.locator(".card img")
    expect(picture).to_have_attribute("alt", "This picture cannot be shown")
    expect(picture).to_have_css("border-top-style", "dashed")
    box = picture.bounding_box()
    assert box
    assert box["height"] > 100


def test_what_stands_still_and_who_is_of_another_version(
    page: Page, url: str, database_url: str, connections: Connections
) -> None:
    job = scored_job(connections.database, [[]], images=[WAITING], ended=False)
    with connections.database.begin() as connection:
        connection.execute(
            text("""
                update images set state = 'dispatched', lease_expires_at = now() + interval '1 hour' where job_id = :job
            """),
            {"job": job},
        )
        connection.execute(text("update job_counts set state = 'dispatched' where job_id = :job"), {"job": job})
    ours = connect(database_url, "detection detection-1@box")
    older = create_engine(database_url, connect_args={"application_name": "facemem 0.0.1 scoring scoring-1@box"})
    with ours.connect(), older.connect():
        page.goto(f"{url}/#/system")
        expect(page.locator(".state")).to_have_text("degraded")
        expect(page.get_by_text("No dispatcher is connected to the database")).to_be_visible()
        expect(page.get_by_text("Two versions are at work.")).to_be_visible()
        row = page.get_by_role("table", name="At work").get_by_role("row").filter(has_text="scoring-1@box")
        expect(row.get_by_role("cell")).to_have_text(["Score", "scoring-1@box", "0.0.1", re.compile(" ago$")])
        waiting = page.get_by_role("table", name="Work of all tenants, by stage").get_by_role("row")
        cells = waiting.filter(has_text="Find faces").get_by_role("cell")
        expect(cells).to_have_text(["Find faces", "0", "1", "0", re.compile("[0-9]"), re.compile(" ago$")])
        assert inaccessible(page) == []
    ours.dispose()
    older.dispose()


def test_tables_stay_as_they_are_scrolled_while_they_are_kept_up(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{url}/#/system")
    table = page.locator(".scroll").filter(has=page.get_by_role("table", name="Work of all tenants"))
    table.evaluate("each => { each.scrollLeft = 50; each.focus(); }")
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url) if "v1/system" in request.url else None)
    while len(asked) < 2:
        page.wait_for_timeout(100)
    assert table.evaluate("each => each.scrollLeft") == 50
    expect(table).to_be_focused()


def test_a_system_page_that_cannot_ask_says_so_and_asks_again(page: Page, url: str) -> None:
    page.goto(f"{url}/#/system")
    expect(page.get_by_role("table", name="Parts")).to_be_visible()
    page.route("**/readyz", lambda route: route.abort())
    expect(page.get_by_text("The service cannot be reached.")).to_contain_text("This page tries again.")
    page.unroute("**/readyz")
    expect(page.get_by_role("table", name="Parts")).to_be_visible()
