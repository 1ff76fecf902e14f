"""Files on their way, against the real API without workers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.cli import journey as journeys
from services.cli.journey import Journey, all_final, tally
from services.cli.progress import Display
from services.client import Facemem
from tests.unit.results import job


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 100_000)
    return paths


@pytest.fixture
def facemem(api_url: str) -> Iterator[Facemem]:
    with Facemem(api_url) as client:
        yield client


@pytest.fixture
def journey(facemem: Facemem, files: list[Path]) -> Journey:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    return Journey(facemem, files, Display(terminal), relative_to=files[0].parent)


@pytest.mark.parametrize("most", [{"MOST_FILES": 5}, {"MOST_FILES": 4}, {"MOST_BYTES": 499_999}])
def test_files_are_one_job_whichever_way_they_go(
    facemem: Facemem, journey: Journey, files: list[Path], monkeypatch: pytest.MonkeyPatch, most: dict[str, int]
) -> None:
    for name, value in most.items():
        monkeypatch.setattr(journeys, name, value)
    ways: list[str] = []
    for name in ("submit", "submit_directly"):
        monkeypatch.setattr(facemem, name, noting(name, getattr(facemem, name), ways))
    submitted = journey.submit("a-key", captioner="describer", labels=["spring"])
    assert ways == (["submit"] if most == {"MOST_FILES": 5} else ["submit_directly"])
    assert (submitted.images, submitted.captioner, submitted.labels) == (5, "describer", ["spring"])
    assert [image.image for image in journey.results()] == [path.name for path in files]
    facemem.cancel(submitted.id)
    journey.watch()
    assert tally(journey.job) == "5 cancelled"
    assert all_final(journey.job)


def noting(name: str, function: Any, ways: list[str]) -> Any:
    def noted(*arguments: Any, **options: Any) -> Any:
        ways.append(name)
        return function(*arguments, **options)

    return noted


def test_ctrl_c_cancels_what_was_submitted(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(journey, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journey.score(captioner="auto", name=None)
    assert {image.state for image in journey.results()} == {"cancelled"}


def test_scoring_is_a_new_job_each_time(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_FILES", 0)
    monkeypatch.setattr(journey, "watch", lambda: None)
    jobs = set()
    for _ in range(2):
        journey.score()
        jobs.add(journey.job.id)
    assert len(jobs) == 2


def test_a_display_shows_where_the_images_are() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    with Display(terminal) as display:
        step = display.upload(4_000_000)
        step(1_000_000)
        display.show(job())
        display.note("[bold]a line")
    shown = terminal.file.getvalue()
    for part in ("1.0/4.0 MB", "detection", "3,000/3,003", "2 running, 1 waiting", "about 12 s left", "[bold]a line"):
        assert part in shown
    with Display(terminal) as display:
        display.show(job(state="paused"))
    assert "paused" in terminal.file.getvalue()


def test_elsewhere_a_display_is_quiet() -> None:
    file = Console(file=io.StringIO(), width=100)
    with Display(file) as display:
        display.show(job())
        display.note("a line")
    assert file.file.getvalue() == "a line\n"


def test_a_tally_leaves_out_what_did_not_happen() -> None:
    assert tally(job()) == "3,000 succeeded"
    assert tally(job(counts={})) == "no images"
    assert not all_final(job())
