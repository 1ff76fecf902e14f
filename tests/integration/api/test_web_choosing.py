"""How a set is chosen on the page, and how it gets to the service."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import text

from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import rows
from tests.integration.api.in_browser import choose, small
from tests.integration.api.test_web import tab_to

PLACES = "**/v1/uploads/*/content*"
AT_ONCE = 4  # files that the page sends at the same time


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    """A folder with two photographs, one of them in a folder, and what a Mac leaves in folders."""
    folder = tmp_path / "shoot"
    (folder / "day two").mkdir(parents=True)
    (folder / "1.jpg").write_bytes(small(1)["buffer"])
    (folder / "day two" / "2.jpg").write_bytes(small(2)["buffer"])
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


def send(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).click()


def names(connections: Connections) -> list[str]:
    with connections.database.connect() as connection:
        return list(connection.scalars(text("select name from images order by name")))


def hold(page: Page, wanted: int) -> list[Route]:
    """Wait until so many files are on their way, and hold them there."""
    held: list[Route] = []
    page.route(PLACES, lambda route: held.append(route))
    send(page)
    while len(held) < wanted:
        page.wait_for_timeout(50)
    return held


def test_a_folder_is_sent_with_the_paths_in_it(page: Page, url: str, shoot: Path, connections: Connections) -> None:
    page.goto(url)
    page.locator("input[webkitdirectory]").set_input_files(shoot)
    expect(page.get_by_text("2 photographs,")).to_be_visible()
    send(page)
    expect(page.get_by_text("2 images")).to_be_visible()
    assert names(connections) == ["shoot/1.jpg", "shoot/day two/2.jpg"]


def test_a_folder_that_is_dropped_is_too(page: Page, url: str, shoot: Path, connections: Connections) -> None:
    page.goto(url)
    drop(page, shoot)
    expect(page.get_by_text("2 photographs,")).to_be_visible()
    send(page)
    expect(page.get_by_text("2 images")).to_be_visible()
    assert names(connections) == ["shoot/1.jpg", "shoot/day two/2.jpg"]


def drop(page: Page, path: Path) -> None:
    """What a person does who drags a file or folder from elsewhere onto the page."""
    box = page.locator(".drop").bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 10}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_files_without_a_place_in_a_folder_are_taken_as_they_are(page: Page, url: str) -> None:
    """Such as those that another page hands over: a browser knows no folder of theirs."""
    page.goto(url)
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "1.jpg", { type: "image/jpeg" }));
            return transfer;
        }""",
        list(small(1)["buffer"]),
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(page.get_by_text("1 photograph,")).to_be_visible()


def test_what_is_wished_for_a_set_arrives_with_it(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    expect(page.get_by_label("Keep").locator("option").first).to_have_text("until I delete it")
    choose(page, small(1))
    page.get_by_label("Name").fill("spring")
    page.get_by_label("Described by").select_option("describer")
    page.get_by_label("Keep").select_option("7 days")
    send(page)
    expect(page.get_by_role("heading", name="spring")).to_be_visible()
    with connections.database.connect() as connection:
        told = connection.execute(text("select name, captioner, retention_seconds, priority from jobs")).one()
    assert tuple(told) == ("spring", "describer", 7 * 86_400, "interactive")


@pytest.mark.parametrize("settings", [{"retention_days": 30}], indirect=True)
def test_how_long_the_service_keeps_sets_is_said(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_label("Keep").locator("option").first).to_have_text("30 days, as the service has it")


def test_each_file_on_its_way_has_its_own_progress(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    choose(page, *map(small, range(6)))
    held = hold(page, AT_ONCE)
    expect(page.locator(".sent progress")).to_have_count(AT_ONCE)
    for number in range(AT_ONCE):
        expect(page.get_by_role("progressbar", name=f"{number}.jpg")).to_be_visible()
    expect(page.get_by_text("0 of 6 files")).to_be_visible()
    held.pop(0).continue_()
    expect(page.get_by_text("1 of 6 files")).to_be_visible()
    expect(page.get_by_role("progressbar", name="0.jpg")).to_have_count(0)
    expect(page.get_by_role("progressbar", name="4.jpg")).to_be_visible()
    page.unroute(PLACES)  # which lets go of all that is held
    expect(page.get_by_text("6 images")).to_be_visible()
    assert rows(connections, "images") == 6


@pytest.mark.parametrize("status", [403, 404])
def test_a_place_whose_time_is_over_is_asked_for_anew(
    page: Page, url: str, connections: Connections, status: int
) -> None:
    page.goto(url)
    announced: list[str] = []
    page.on("request", lambda asked: announced.append(asked.url) if asked.url.endswith("/v1/uploads") else None)
    page.route(PLACES, lambda route: route.fulfill(status=status, body="<Error/>"), times=1)
    choose(page, *map(small, range(3)))
    send(page)
    expect(page.get_by_text("3 images")).to_be_visible()
    assert len(announced) == 2
    assert names(connections) == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_file_that_is_refused_stops_the_others(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "PUT" else None)
    choose(page, *map(small, range(9)))
    held = hold(page, AT_ONCE)
    held[0].fulfill(status=400, json={"code": "upload_differs", "detail": "It is not what was announced."})
    expect(page.get_by_text("It is not what was announced.")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    page.unroute(PLACES)
    page.wait_for_timeout(1000)
    assert len(sent) == AT_ONCE
    assert rows(connections, "jobs") == 0


def test_a_sample_set_is_one_click_away(page: Page, url: str, connections: Connections) -> None:
    give_samples(page)
    page.goto(url)
    page.get_by_role("button", name="Try a sample set").click()
    expect(page.get_by_role("heading", name="Sample set")).to_be_visible()
    assert names(connections) == ["1.jpg", "2.jpg"]


def test_samples_beside_ones_own_photographs_wait_to_be_sent(page: Page, url: str, connections: Connections) -> None:
    give_samples(page)
    page.goto(url)
    choose(page, small(7))
    page.get_by_role("button", name="Try a sample set").click()
    expect(page.get_by_text("3 photographs,")).to_be_visible()
    assert rows(connections, "uploads") == rows(connections, "jobs") == 0


def give_samples(page: Page) -> None:
    """Small ones: those that come with the service are larger than these tests allow."""
    page.route("**/samples", lambda route: route.fulfill(json={"files": ["1.jpg", "2.jpg"]}))
    page.route("**/samples/*.jpg", lambda route: route.fulfill(body=small(int(route.request.url[-5]))["buffer"]))


def test_links_are_sent_with_the_keyboard_alone(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    expect(page.get_by_text("Paste links instead")).to_be_visible()
    tab_to(page, "Paste links instead")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("https://example.org/portrait.jpg")
    tab_to(page, "Send")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_text("1 image", exact=False).first).to_be_visible()
    with connections.database.connect() as connection:
        assert connection.scalars(text("select source_url from images")).all() == ["https://example.org/portrait.jpg"]
