"""From what an image costs to how many workers a deadline needs."""

import io
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from services.cli.plan_view import plan_view
from services.planning.costs import _kept
from services.planning.plan import USED_SHARE, Captions, Costs, plan, seconds_here
from shared.jobs.states import Stage

COSTS = Costs(dict(zip(Stage, (0.001, 0.04, 0.01, 0.02, 0.004), strict=True)), 0.01, 250_000, 2.0, 64)


def workers(images: int, deadline: float, captions: Captions | None = None) -> dict[Stage, int]:
    return {kind.stage: kind.workers for kind in plan(COSTS, images, deadline, captions).kinds}


def test_twice_the_images_or_half_the_time_is_twice_the_workers() -> None:
    once = workers(1_000_000, 10_000)
    assert once[Stage.DETECTION] == pytest.approx(1_000_000 * 0.04 / 10_000 / USED_SHARE, abs=1)
    twice, sooner = workers(2_000_000, 10_000), workers(1_000_000, 5_000)
    assert twice == sooner
    assert all(abs(twice[stage] - 2 * once[stage]) <= 1 for stage in Stage)


def test_there_is_always_one_of_each_and_the_plan_keeps_the_deadline() -> None:
    assert set(workers(1, 86_400).values()) == {1}
    for kind in plan(COSTS, 500_000, 3_600).kinds:
        assert 500_000 / (kind.workers * kind.images_a_second) <= 3_600 * USED_SHARE


def test_captions_of_a_model_are_counted_by_faces_and_servers() -> None:
    found = plan(COSTS, 36_000, 36_000, Captions(3.0))
    assert found.servers == pytest.approx(2 * 3.0 / USED_SHARE, abs=1)
    assert plan(COSTS, 36_000, 36_000, Captions(3.0, at_once=4)).servers < found.servers
    assert seconds_here(COSTS, 1000, 64, Captions(3.0)) == 6000
    assert seconds_here(COSTS, 1000, 2) == pytest.approx(1000 * 0.085 / 2 / USED_SHARE)


def test_what_is_removed_after_the_end_is_not_kept(tmp_path: Path) -> None:
    for number, kind in enumerate(("originals", "photos", "crops", "states")):
        folder = tmp_path / "jobs" / str(uuid4()) / kind
        folder.mkdir(parents=True)
        (folder / "object").write_bytes(bytes(10**number))
    assert _kept(tmp_path) == 10 + 100


def test_the_view_says_what_it_takes() -> None:
    captions = Captions(3.0)
    found = plan(COSTS, 1_000_000, 7200, captions)
    console = Console(file=io.StringIO(), width=140)
    console.print(plan_view(COSTS, found, 1_000_000, 7200, 2, captions))
    seen = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{found.cores:,} cores like these" in seen
    assert "1,000,000 images in 2 h" in seen
    assert f"{found.servers:,} servers of Ollama" in seen
