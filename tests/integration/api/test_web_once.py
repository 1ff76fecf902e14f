"""A set whose answer was lost on its way to the page is there once, and its files are not sent again."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from shared.pipeline.connections import Connections
from tests.integration.api.conftest import rows
from tests.integration.api.cut_off import CutOff
from tests.integration.api.in_browser import choose, packed, puts, small
from tests.integration.api.test_web_choosing import names, send

SUBMISSION = b"POST /v1/jobs"


@pytest.mark.parametrize("meanwhile", ["stopped", "loaded anew"])
@pytest.mark.parametrize("what", ["files", "archive", "links"])
def test_a_set_whose_answer_was_lost_is_there_once(
    page: Page, line: CutOff, connections: Connections, tmp_path: Path, what: str, meanwhile: str
) -> None:
    """And its files are not sent a second time. Who sends the same set again on purpose has two of them."""
    page.goto(line.url)
    sent = puts(page)
    page.on("dialog", lambda asked: asked.accept())
    files = [small(number) for number in range(3)]
    archive = tmp_path / "set.zip"
    archive.write_bytes(packed(*files)["buffer"])

    def chosen() -> None:
        if what == "links":
            page.get_by_text("Paste links instead").click()
            page.get_by_label("One link in each line").fill("https://example.org/a.jpg")
        elif what == "archive":
            page.get_by_label("Files").set_input_files(archive)
        else:
            choose(page, *files)

    line.losing = SUBMISSION
    chosen()
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    assert rows(connections, "jobs") == 1
    if meanwhile == "stopped":
        page.get_by_role("button", name="Stop").click()
    else:
        page.reload()
        chosen()
    line.cutting = None
    send(page)
    expect(page.get_by_role("heading", name="Set of")).to_be_visible()
    assert rows(connections, "jobs") == 1
    assert len(sent) == (3 if what == "files" else 0)

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Sets").click()
    expect(page.get_by_role("heading", name="Which faces")).to_be_visible()
    chosen()
    send(page)
    expect(page.get_by_role("heading", name="Set of")).to_be_visible()
    assert rows(connections, "jobs") == 2


def lose_the_answer(page: Page, line: CutOff) -> None:
    """Send two photographs, of which the service has a set then and the page does not know it; and stop."""
    line.losing = SUBMISSION
    choose(page, small(1), small(2))
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.get_by_role("button", name="Stop").click()
    line.cutting = None


def test_another_set_with_the_same_photographs_is_another_one(
    page: Page, line: CutOff, connections: Connections
) -> None:
    """What is wished for a set is part of it."""
    page.goto(line.url)
    lose_the_answer(page, line)
    page.get_by_label("Name").fill("another")
    send(page)
    expect(page.get_by_role("heading", name="another")).to_be_visible()
    assert rows(connections, "jobs") == 2
    assert names(connections) == ["1.jpg", "1.jpg", "2.jpg", "2.jpg"]


def test_who_may_not_ask_for_a_set_whose_answer_was_lost_is_told_that_it_is_there(
    page: Page, line: CutOff, connections: Connections
) -> None:
    """Such as with a key that allows sending only. The files go once more then: nobody knows of them."""
    page.goto(line.url)
    sent = puts(page)
    lose_the_answer(page, line)
    page.route("**/v1/uploads/*", lambda route: route.fulfill(status=403, json={"code": "scope_missing"}))
    send(page)
    expect(page.get_by_text("The service had this set already")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_have_count(0)
    assert rows(connections, "jobs") == 1
    assert len(sent) == 4


def test_an_archive_that_was_changed_is_another_set(
    page: Page, line: CutOff, connections: Connections, tmp_path: Path
) -> None:
    """Though its name, size and time are those of one whose answer was lost: the service tells them apart."""
    page.goto(line.url)
    archive = tmp_path / "set.zip"
    contents = [packed(small(number, name="a.jpg"))["buffer"] for number in (1, 2)]
    assert len(contents[0]) == len(contents[1])
    for number, content in enumerate(contents, 1):
        archive.write_bytes(content)
        os.utime(archive, (1_700_000_000, 1_700_000_000))
        if number == 1:
            line.losing = SUBMISSION
        page.get_by_label("Files").set_input_files(archive)
        send(page)
        if number == 1:
            expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
            page.get_by_role("button", name="Stop").click()
            page.get_by_role("button", name="Clear").click()
            line.cutting = None
    expect(page.get_by_role("heading", name="Set of")).to_be_visible()
    assert rows(connections, "jobs") == 2
