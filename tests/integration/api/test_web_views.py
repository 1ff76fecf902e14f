"""The views of the page: what each of them shows, and that all can be used in the dark and on a phone."""

import csv
import re
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text, update

from services.api.scopes import Scope
from services.insights.associations import FEWEST
from shared.database.tables import Explanation
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import inaccessible
from tests.integration.api.in_browser import WAITING, change, failed, key_of, plant_pictures, use
from tests.integration.api.scored import scored_job

MANY = 130  # faces: more than a page of the list
FLOWER = "https://flower.example.org/"
WITH_FLOWER = {"keys": "required", "flower_url": FLOWER}
UNSCORED = {"score": None, "percentile": None, "uncertainty": None}
NOTHING_WIDER = """
    [document.documentElement, ...document.querySelectorAll("dialog")]
        .every((each) => each.scrollWidth <= each.clientWidth)
"""
UNBROKEN = "n" * 150  # a name that cannot be wrapped at a space


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


def states(connections: Connections, job: UUID) -> list[str]:
    with connections.database.connect() as connection:
        return list(
            connection.scalars(text("select state from images where job_id = :job order by position"), {"job": job})
        )


def test_filters_show_what_fits_them(page: Page, url: str, connections: Connections) -> None:
    faces = [
        [{"score": 0.9, "percentile": 95.0}],
        [{"score": 0.5, "percentile": 60.0, "flags": ["blurred"]}],
        [{"score": 0.3, "percentile": 10.0, "flags": ["dark"]}],
        [UNSCORED],
        [UNSCORED, UNSCORED],
    ]
    images = [{}, {}, {}, failed("internal_error", "scoring"), {"state": "ready", "stage": "captioning"}]
    job = scored_job(connections.database, faces, images=images, ended=False)
    page.goto(f"{url}/#/jobs/{job}")
    scores = page.locator(".card strong")
    expect(scores).to_have_text(["0.90", "0.50", "0.30"])
    expect(page.locator(".card .strip .bar").first).to_be_attached()
    for name, value, shown in (
        ("min_score", "0.4", ["0.90", "0.50"]),
        ("max_score", "0.5", ["0.50"]),
        ("min_score", "", ["0.50", "0.30"]),
        ("max_percentile", "20", ["0.30"]),
        ("max_score", "", ["0.30"]),
        ("min_percentile", "10", ["0.30"]),
        ("max_percentile", "", ["0.90", "0.50", "0.30"]),
        ("min_percentile", "60", ["0.90", "0.50"]),
    ):
        page.locator(f"[name={name}]").fill(value)
        page.locator(f"[name={name}]").blur()
        expect(scores).to_have_text(shown)
    page.get_by_label("in the dark").check()
    expect(page.get_by_text("No face fits the filter.")).to_be_visible()
    page.get_by_label("blurred").check()  # any of them
    expect(scores).to_have_text(["0.50"])
    page.get_by_label("Failed because").select_option("A fault of the service")
    expect(page.get_by_text("No face fits the filter.")).to_be_visible()


def test_faces_without_a_score_are_found_by_their_state(page: Page, url: str, connections: Connections) -> None:
    faces = [[0.9], [{"score": 0.5, "flags": ["blurred"]}], [UNSCORED], [UNSCORED, UNSCORED]]
    images = [{}, {}, failed("internal_error", "scoring"), {"state": "ready", "stage": "captioning"}]
    job = scored_job(connections.database, faces, images=images, ended=False)
    page.goto(f"{url}/#/jobs/{job}")
    cards = page.locator(".card")
    expect(cards).to_have_count(2)
    for state, shown in (("failed", ["2.jpg"]), ("still in work", ["3.jpg"] * 2), ("cancelled", [])):
        page.get_by_label("State").select_option(state)
        expect(page.locator(".card .line:last-child")).to_have_text(shown)
        expect(page.get_by_text("without a score")).to_have_count(len(shown))
        expect(page.get_by_label("Order")).to_be_disabled()
        expect(page.get_by_label("Order")).to_have_value("position")
    expect(page.get_by_text("No face fits the filter.")).to_be_visible()
    page.get_by_label("State").select_option("scored")
    expect(cards).to_have_count(2)
    expect(page.get_by_label("Order")).to_have_value("-score")
    page.get_by_label("blurred").check()
    expect(cards).to_have_count(1)
    page.get_by_label("without any: trust these most").check()
    expect(page.get_by_label("blurred")).not_to_be_checked()
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("0.90")


def test_a_face_that_is_far_down_is_shown_whole(page: Page, url: str, connections: Connections) -> None:
    """Who opens it by its address sees its name and rank; what is beside it is not known yet."""
    job = scored_job(connections.database, [[number / (2 * MANY)] for number in range(MANY)])
    with connections.database.connect() as connection:
        last = connection.scalar(text("select id from faces where job_id = :job order by score limit 1"), {"job": job})
    page.goto(f"{url}/#/jobs/{job}/faces/{last}")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="0.jpg")).to_be_visible()
    expect(dialog.get_by_text(f"rank {MANY} of {MANY} in this set")).to_be_visible()
    for step in ("Previous face", "Next face"):
        expect(dialog.get_by_role("button", name=step)).to_be_disabled()


def test_what_fails_is_told_by_its_reason_as_it_happens(page: Page, url: str, connections: Connections) -> None:
    images = [{}, failed("decode_timeout"), failed("too_large"), failed("invalid_line", "intake"), {}, WAITING]
    job = scored_job(connections.database, [[0.5], *[[]] * 5], images=images, ended=False)
    page.set_viewport_size({"width": 1280, "height": 1400})  # what is below the screen is not in the document
    page.goto(f"{url}/#/jobs/{job}/set-aside")
    said = page.locator(".aside strong")
    expect(said).to_have_text(["Takes too long to open", "Too large", "The line cannot be read", "No face was found"])
    why = page.get_by_label("Failures by reason").get_by_role("listitem")
    expect(why).to_have_text(
        [
            "Takes too long to open · 1 image · can be tried againTry again",
            "The line cannot be read · 1 image · cannot be tried again",
            "Too large · 1 image · can be tried againTry again",
        ]
    )
    change(
        connections,
        job,
        "update images set state = 'failed', reason = 'broken_image' where job_id = :job and position = 5",
    )
    expect(said).to_have_count(5)
    expect(page.get_by_role("button", name="Try again: Damaged or cut off")).to_be_visible()
    page.get_by_role("button", name="Try again: Too large").click()
    expect(page.get_by_text("Tried again: 1 image.")).to_be_visible()
    expect(why).to_have_count(3)
    assert states(connections, job) == ["succeeded", "failed", "ready", "failed", "skipped", "failed"]


def test_a_set_says_its_pace_and_is_cancelled_when_one_is_sure(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], [], []], images=[{}, WAITING, WAITING], ended=False)
    change(connections, job, "update jobs set created_at = now() - interval '100 s' where id = :job")
    change(
        connections,
        job,
        "insert into paces values (:job, 'scoring', now() - interval '100 s', 20, 20)",
    )
    page.goto(f"{url}/#/jobs/{job}")
    expect(page.get_by_text(re.compile(r"0\.\d images a second, about \d+ s left"))).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert states(connections, job) == ["succeeded", "ready", "ready"]
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the set").click()
    expect(page.locator(".live .state")).to_have_text("Cancelled")
    assert states(connections, job) == ["succeeded", "cancelled", "cancelled"]


@pytest.mark.parametrize("settings", [{}, {"keys": "required"}], indirect=True, ids=["open", "with a key"])
def test_a_set_is_saved_in_each_form(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], []], name="spring")
    use(page, key_of(connections, "mine", Scope.READ))
    page.goto(f"{url}/#/jobs/{job}")
    for form, begins in (("csv", b"image"), ("xlsx", b"PK"), ("jsonl", b"{")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save {form.upper()}").click()
        assert saved.value.suggested_filename.endswith(f".{form}")
        assert saved.value.path().read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(begins)


def captioned(mean: float) -> list[list[dict[str, Any]]]:
    """Photographs of which every second has a broad smile, which adds 0.2 to its score."""
    words = ("Thin lips.", "A broad smile.")
    return [
        [{"score": mean + 0.2 * (number % 2) + 0.01 * (number % 3), "caption": words[number % 2]}]
        for number in range(2 * FEWEST)
    ]


def test_words_and_another_set_are_beside_the_scores(page: Page, url: str, connections: Connections) -> None:
    bundle = find("compact").digest
    scored_job(connections.database, captioned(0.3), name="autumn", bundle=bundle)
    job = scored_job(connections.database, captioned(0.5), name="spring", bundle=bundle)
    page.goto(f"{url}/#/jobs/{job}/insights")
    word = page.locator(".intervals li").filter(has_text="broad smile")
    expect(word).to_contain_text(f"{FEWEST} with, {FEWEST} without")
    page.get_by_role("button", name="Show as a table").nth(1).click()
    told = page.get_by_role("table", name="Difference of mean scores with and without")
    expect(told.get_by_role("row").filter(has_text="broad smile")).to_contain_text("+0.2")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.reader(saved.value.path().read_text().splitlines()))
    assert saved.value.suggested_filename.endswith(".csv")
    assert [row[1] for row in rows if "broad smile" in row[0]] == ["+0.201"]
    page.get_by_label("Compare with").select_option(index=0)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("Photographs of 'spring' score 0.2")).to_be_visible()
    expect(page.locator(".intervals li").filter(has_text="this set less the other")).to_contain_text("+0.200")
    assert inaccessible(page) == []


@pytest.mark.parametrize("settings", [WITH_FLOWER], indirect=True)
def test_who_looks_after_the_service_sees_its_queues(page: Page, url: str, connections: Connections) -> None:
    scored_job(connections.database, [[], [], [0.5]], images=[WAITING, WAITING], ended=False)
    reader = key_of(connections, "a reader", Scope.READ)
    page.goto(f"{url}/#/system")
    page.get_by_role("textbox", name="Key").fill(key_of(connections, "an admin", *Scope))
    page.get_by_role("button", name="Use this key").click()
    queues = page.get_by_role("table", name="Work of your tenant, by stage")
    expect(queues.get_by_role("row").filter(has_text="Find faces").get_by_role("cell")).to_contain_text(
        ["Find faces", "2", "0", "0", "", "ago"]
    )
    expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", FLOWER)
    page.evaluate("key => sessionStorage.setItem('facemem.key', key)", reader)
    page.reload()
    expect(page.get_by_text("Tenant local: 1 open set, 2 images unfinished")).to_be_visible()
    expect(queues).to_have_count(0)
    expect(page.get_by_role("link", name="Flower")).to_have_count(0)


@pytest.mark.parametrize("settings", [{"keys": "required"}], indirect=True)
def test_a_key_that_is_revoked_is_refused(page: Page, url: str, connections: Connections) -> None:
    bearer = {"Authorization": f"Bearer {key_of(connections, 'a script', Scope.READ)}"}
    use(page, key_of(connections, "an admin", *Scope))
    page.goto(f"{url}/#/keys")
    page.get_by_role("button", name="Revoke a script").click()
    assert page.request.get(f"{url}/v1/jobs", headers=bearer).status == 200
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="a script")).to_contain_text("revoked")
    expect(page.get_by_role("button", name="Revoke a script")).to_have_count(0)
    expect(page.get_by_role("button", name="Revoke an admin")).to_be_visible()
    assert page.request.get(f"{url}/v1/jobs", headers=bearer).status == 401


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_view_is_usable_on_a_phone(page: Page, url: str, connections: Connections, scheme: str) -> None:
    bundle = find("compact").digest
    images = [{"name": f"{UNBROKEN}.jpg"}] * 2 * FEWEST + [failed("broken_image") | {"name": UNBROKEN}]
    job = scored_job(
        connections.database, [*captioned(0.4), []], images=images, explained=True, name=UNBROKEN, bundle=bundle
    )
    plant_pictures(connections, job)
    key_of(connections, UNBROKEN, Scope.READ)
    with connections.database.connect() as connection:
        face = connection.scalar(text("select max(id) from faces"))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 390, "height": 844})
    for view, sign in (
        ("", ".set"),
        (f"jobs/{job}", ".card img"),
        (f"jobs/{job}/faces/{face}", "dialog .chart"),
        (f"jobs/{job}/insights", ".intervals li"),
        (f"jobs/{job}/set-aside", ".aside"),
        ("keys", "td code"),
        ("system", "details table"),
    ):
        page.goto(f"{url}/#/{view}")
        expect(page.locator(sign).first).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert inaccessible(page) == [], view
        assert page.evaluate(NOTHING_WIDER), view


def test_a_word_lights_up_its_regions_and_a_region_its_words(page: Page, url: str, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.6]], explained=True)
    plant_pictures(connections, job)
    parts = np.array([[-0.1, 0, 0, 0], [0, 0.3, 0, 0]], "<f4").tobytes()  # of “a” and “smile”, at four regions
    with connections.database.begin() as connection:
        connection.execute(update(Explanation).values(rows=2, columns=2, contributions=parts, attention=parts))
    page.goto(f"{url}/#/jobs/{job}")
    page.locator(".card").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".word")).to_have_count(2)
    page.mouse.move(0, 0)
    of_all = page.evaluate("document.querySelector('.heat canvas').toDataURL()")
    dialog.locator(".word").filter(has_text="smile").hover()
    expect(dialog.get_by_text("“smile” adds +0.300")).to_be_visible()
    assert page.evaluate("document.querySelector('.heat canvas').toDataURL()") != of_all
    dialog.locator(".region").nth(1).hover()
    expect(dialog.locator(".word.lit")).to_have_text(["smile"])
    expect(dialog.locator(".word.dim")).to_have_text(["a"])
    dialog.locator(".region").nth(0).hover()
    expect(dialog.locator(".word.lit")).to_have_text(["a"])
    page.mouse.move(0, 0)
    expect(dialog.locator(".word.lit, .word.dim")).to_have_count(0)
    assert page.evaluate("document.querySelector('.heat canvas').toDataURL()") == of_all
