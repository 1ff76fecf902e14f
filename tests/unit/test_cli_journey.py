"""Files in several jobs at a time, against the real API without workers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.api.schemas import BundleName, JobStatus
from services.cli import gather
from services.cli.journey import Journey, MixedBundles, all_final, one_bundle, tally
from services.cli.progress import Display
from services.cli.sheet import write_sheet
from services.client import Facemem
from tests.unit.results import job


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for path in paths:
        path.write_bytes(b"-" * 100_000)
    return paths


@pytest.fixture
def facemem(api_url: str) -> Iterator[Facemem]:
    with Facemem(api_url) as client:
        yield client


@pytest.fixture
def journey(facemem: Facemem, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> Journey:
    monkeypatch.setattr(gather.portions, "__defaults__", (2, 10**9))
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    return Journey(facemem, files, Display(terminal), relative_to=files[0].parent)


def test_many_files_go_in_several_jobs_and_come_back_as_one_list(
    facemem: Facemem, journey: Journey, files: list[Path]
) -> None:
    jobs = list(journey.submit(captioner="auto", name=None))
    assert [each.images for each in jobs] == [2, 2, 1]
    assert [image.image for image in journey.results()] == [path.name for path in files]
    for each in jobs:
        facemem.cancel(each.id)
    journey.watch()
    assert tally(journey.jobs) == "5 cancelled"
    assert all_final(journey.jobs)


def test_all_jobs_of_a_set_have_the_bundle_of_the_first(
    facemem: Facemem, journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's default may change between two of them."""
    asked: list[str | None] = []
    submit = facemem.submit

    def recorded(*arguments: Any, **options: Any) -> JobStatus:
        asked.append(options["bundle"])
        return submit(*arguments, **options)

    monkeypatch.setattr(facemem, "submit", recorded)
    jobs = list(journey.submit(captioner="auto", name=None))
    assert asked == [None, jobs[0].bundle.digest, jobs[0].bundle.digest]


def test_scores_of_different_bundles_are_not_put_together(journey: Journey, tmp_path: Path) -> None:
    other = job(bundle=BundleName(name="compact", digest="0" * 64))
    assert one_bundle([job(), job()]) == job().bundle
    with pytest.raises(MixedBundles, match="0000"):
        one_bundle([job(), other])
    journey.jobs = [job(), other]
    with pytest.raises(MixedBundles):
        next(journey.results())
    with pytest.raises(MixedBundles):
        write_sheet(tmp_path / "sheet.png", journey._facemem, journey.jobs, [], "title", "about")
    assert not (tmp_path / "sheet.png").exists()


def test_ctrl_c_cancels_what_was_submitted(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(journey, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journey.score(captioner="auto", name=None)
    assert {image.state for image in journey.results()} == {"cancelled"}


def test_a_display_shows_where_the_images_are() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    with Display(terminal) as display:
        step = display.upload(4_000_000)
        step(1_000_000)
        display.show([job(), job()])
        display.note("[bold]a line")
    shown = terminal.file.getvalue()
    for part in ("1.0/4.0 MB", "detection", "6,000/6,006", "4 running, 2 waiting", "about 12 s left", "[bold]a line"):
        assert part in shown


def test_elsewhere_a_display_is_quiet() -> None:
    file = Console(file=io.StringIO(), width=100)
    with Display(file) as display:
        display.show([job()])
        display.note("a line")
    assert file.file.getvalue() == "a line\n"


def test_a_tally_leaves_out_what_did_not_happen() -> None:
    assert tally([job(), job()]) == "6,000 succeeded"
    assert tally([job(counts={})]) == "no images"
    assert not all_final([job()])
