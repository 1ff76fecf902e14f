"""Slow work is saved in portions; what comes at once is saved at once."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from shared.errors import PermanentError, StorageUnavailable
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Priority
from shared.pipeline import run_stage
from shared.pipeline.run_stage import Done, Failed, Outcome, portions


def image(number: int) -> ClaimedImage:
    return ClaimedImage(number, uuid4(), "a.jpg", None, None, 1, "auto", "0" * 64, Priority.BULK)


IMAGES = [image(number) for number in range(4)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(run_stage, "monotonic", lambda: now[0])
    return now


def sizes(outcomes: Iterator[Outcome]) -> list[int]:
    return [len(portion) for portion in portions(outcomes)]


def test_what_comes_at_once_stays_together(clock: list[float]) -> None:
    def after_a_minute() -> Iterator[Outcome]:
        clock[0] += 60
        yield from (Done(each) for each in IMAGES)

    assert sizes(after_a_minute()) == [4]
    assert sizes(iter([])) == []


def test_what_comes_slowly_does_not_wait_for_the_end(clock: list[float]) -> None:
    def slow() -> Iterator[Outcome]:
        for each in IMAGES:
            clock[0] += run_stage.SAVE_SECONDS * 0.6
            yield Done(each)

    assert sizes(slow()) == [3, 1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageUnavailable("away"), "storage_unavailable"),
        (PermanentError("no"), "internal"),
        (ValueError(), "internal"),
    ],
)
def test_an_error_in_the_middle_is_an_attempt_of_what_is_left(error: Exception, code: str) -> None:
    def breaks(images: list[ClaimedImage], _: object) -> Iterator[Outcome]:
        yield Done(images[0])
        raise error

    first, *others = run_stage._outcomes(breaks, IMAGES, uuid4())
    assert isinstance(first, Done)
    failed = [each for each in others if isinstance(each, Failed)]
    assert [each.image.id for each in failed] == [1, 2, 3]
    assert all(each.error.code.startswith(code) for each in failed)
