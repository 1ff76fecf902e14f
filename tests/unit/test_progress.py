"""How far a job is and how long it will take, from counters alone."""

import pytest

from services.api.progress import Counts, seconds_left
from shared.jobs.pace import _pace
from shared.jobs.states import ImageState, Stage

READY, RUNNING, DONE, SKIPPED = ImageState.READY, ImageState.RUNNING, ImageState.SUCCEEDED, ImageState.SKIPPED


def test_an_image_is_before_at_or_beyond_a_stage() -> None:
    counts = Counts({(Stage.DETECTION, READY): 3, (Stage.CAPTIONING, RUNNING): 2, (Stage.DETECTION, SKIPPED): 4})
    assert counts.total == 9
    assert [counts.ahead(stage) for stage in Stage] == [0, 3, 5, 5, 5]
    assert [counts.passed(stage) for stage in Stage] == [9, 6, 0, 0, 0]
    assert (counts.waiting(Stage.DETECTION), counts.running(Stage.CAPTIONING)) == (3, 2)
    assert counts.in_state(SKIPPED) == 4


def test_the_slowest_stage_tells_how_long_it_takes() -> None:
    counts = Counts({(Stage.DETECTION, READY): 100, (Stage.SCORING, RUNNING): 10})
    assert seconds_left(counts, {Stage.DETECTION: 10.0, Stage.SCORING: 2.0}) == 55.0
    assert seconds_left(counts, {Stage.DETECTION: 1.0, Stage.SCORING: 2.0}) == 100.0


def test_without_a_pace_nothing_is_promised() -> None:
    counts = Counts({(Stage.DETECTION, READY): 100})
    assert seconds_left(counts, {}) is None
    assert seconds_left(counts, {Stage.INTAKE: 5.0}) is None, "that stage is behind all of them"
    assert seconds_left(Counts({(Stage.SCORING, DONE): 3}), {}) == 0.0
    assert seconds_left(Counts({}), {}) == 0.0


def test_what_ends_early_passes_the_later_stages_too() -> None:
    """Half of the images have no face: scoring sees one a second, but two a second are done with it."""
    pace = _pace({Stage.DETECTION: (2.0, 1.0), Stage.SCORING: (1.0, 1.0)})
    assert pace.passed == {Stage.DETECTION: 2.0, Stage.SCORING: 2.0}
    assert pace.ended == 2.0


@pytest.mark.parametrize("rescored", [False, True])
def test_progress_goes_from_nothing_to_all(rescored: bool) -> None:
    begin = Stage.EMBEDDING if rescored else Stage.DETECTION
    assert Counts({(begin, READY): 2}, rescored).progress == 0
    assert 0 < Counts({(Stage.SCORING, RUNNING): 2}, rescored).progress < 1
    assert Counts({(Stage.SCORING, DONE): 2}, rescored).progress == 1
    assert Counts({}, rescored).progress == 1
