"""How a set is chosen on the page, and how it gets to the service."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import text

from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import inaccessible
from tests.integration.api.conftest import rows
from tests.integration.api.in_browser import choose, small, tab_to, until

PLACES = "**/v1/uploads/*/content*"
AT_ONCE = 4  # files that the page sends at the same time


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """With what a test asks for as the parameter `settings`."""
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    """A folder with two photographs, one of them in a folder, and what systems leave in folders."""
    folder = tmp_path / "shoot"
    for inside in ("day two", ".thumbnails", "__MACOSX"):
        (folder / inside).mkdir(parents=True)
        (folder / inside / "left.jpg").write_bytes(small(3)["buffer"])
    (folder / "day two" / "left.jpg").unlink()
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
    until(page, lambda: len(held) >= wanted, f"{wanted} files are on their way")
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


def drop(page: Page, path: Path, onto: str = ".drop") -> None:
    """What a person does who drags a file or folder from elsewhere onto the page."""
    box = page.locator(onto).bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 10}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_a_file_that_is_dropped_beside_its_place_is_not_opened(page: Page, url: str, shoot: Path) -> None:
    """Instead of the page, or beside it, as browsers do that may have it so."""
    page.goto(url)
    choose(page, small(7))
    expect(page.get_by_text("1 photograph,")).to_be_visible()
    drop(page, shoot / "1.jpg", "h1")
    expect(page).to_have_url(f"{url}/")
    drop(page, shoot / "1.jpg")
    expect(page.get_by_text("2 photographs,")).to_be_visible()  # what was chosen before is still there
    assert page.context.pages == [page]


def test_what_cannot_be_read_of_a_folder_is_said_and_the_rest_is_kept(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_text("Drop photographs")).to_be_visible()
    page.evaluate(
        """bytes => {
            const fails = (done, fail) => fail(new DOMException("no", "NotReadableError"));
            const file = new File([new Uint8Array(bytes)], "1.jpg");
            const folder = (name, ...inside) => ({
                name, isFile: false,
                createReader: () => ({ readEntries: (done) => done(inside.splice(0)) }),
            });
            const shoot = folder(
                "shoot",
                { name: "locked.jpg", isFile: true, file: fails },
                { name: "locked", isFile: false, createReader: () => ({ readEntries: fails }) },
                { name: "1.jpg", isFile: true, file: (done) => done(file) },
            );
            const items = [{ webkitGetAsEntry: () => shoot }];
            const dropped = new Event("drop", { bubbles: true, cancelable: true });
            dropped.dataTransfer = { items, files: [], types: ["Files"] };
            document.querySelector(".drop").dispatchEvent(dropped);
        }""",
        list(small(1)["buffer"]),
    )
    expect(page.get_by_text("1 photograph,")).to_be_visible()
    page.get_by_text("2 files will be left out: 2 cannot be read").click()
    expect(page.get_by_role("listitem").filter(has_text="shoot/locked.jpg")).to_be_visible()


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
    stopped: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "PUT" else None)
    page.on("requestfailed", lambda asked: stopped.append(asked.url) if asked.method == "PUT" else None)
    choose(page, *map(small, range(9)))
    held = hold(page, AT_ONCE)
    held[0].fulfill(status=400, json={"code": "upload_differs", "detail": "It is not what was announced."})
    expect(page.get_by_text("It is not what was announced.")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    until(page, lambda: len(stopped) == AT_ONCE - 1, "the others are given up")
    page.unroute(PLACES)
    assert len(sent) == AT_ONCE
    assert rows(connections, "jobs") == 0


def test_a_sample_set_is_one_click_away(page: Page, url: str, connections: Connections) -> None:
    give_samples(page)
    page.goto(url)
    page.get_by_role("button", name="Try a sample set").click()
    expect(page.get_by_role("heading", name="Sample set")).to_be_visible()
    assert names(connections) == ["1.jpg", "2.jpg"]


def test_a_double_click_makes_one_sample_set(page: Page, url: str, connections: Connections) -> None:
    give_samples(page)
    held: list[Route] = []
    page.route("**/samples", lambda route: held.append(route))
    page.goto(url)
    page.get_by_role("button", name="Try a sample set").dblclick()
    until(page, lambda: held, "the samples are asked for")
    expect(page.get_by_role("button", name="Try a sample set")).to_be_disabled()
    for route in held:
        route.fallback()
    expect(page.get_by_role("heading", name="Sample set")).to_be_visible()
    assert len(held) == 1
    assert rows(connections, "jobs") == 1
    assert names(connections) == ["1.jpg", "2.jpg"]


def test_ones_own_photographs_that_are_chosen_while_samples_load_wait_to_be_sent(
    page: Page, url: str, connections: Connections
) -> None:
    give_samples(page)
    held: list[Route] = []
    page.route("**/samples", lambda route: held.append(route))
    page.goto(url)
    page.get_by_role("button", name="Try a sample set").click()
    until(page, lambda: held, "the samples are asked for")
    choose(page, small(7))
    expect(page.get_by_text("1 photograph,")).to_be_visible()
    held[0].fallback()
    expect(page.get_by_text("3 photographs,")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    expect(page.get_by_label("Name")).to_have_value("")
    assert rows(connections, "uploads") == rows(connections, "jobs") == 0


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


def test_those_who_listen_are_told_in_a_few_words(page: Page, url: str) -> None:
    """Not all that is shown, with every key: only what is new of it."""
    page.goto(url)
    page.get_by_text("Paste links instead").click()
    page.get_by_label("One link in each line").press_sequentially("https://example.org/a.jpg")
    region = page.locator(".chooser [role=status]")
    expect(region).to_have_text("Chosen: 1 link.")
    assert page.locator(".chooser [aria-live]").count() == 0
    choose(page, small(1), {"name": "none.jpg", "mimeType": "image/jpeg", "buffer": b"a text"})
    expect(region).to_have_text("Chosen: 1 file and 1 link. 1 left out.")
    assert inaccessible(page) == []


def test_what_would_become_of_links_is_said_once(page: Page, url: str, connections: Connections) -> None:
    page.goto(url)
    page.get_by_text("Paste links instead").click()
    page.get_by_label("One link in each line").fill("https://example.org/a.jpg\nhttp://example.org/b.jpg")
    for _ in range(2):
        with page.expect_response("**/v1/jobs?dry_run=true"):
            page.get_by_role("button", name="Ask what would become").click()
    expect(page.get_by_text("1 of 2 links would be worked on")).to_have_count(1)
    expect(page.get_by_text("1 link will be left out")).to_have_count(1)
    assert rows(connections, "jobs") == 0
