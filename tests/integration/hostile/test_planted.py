"""A decoder that one image takes over, in a real detection stage: the image fails for good, its neighbours do not."""

from functools import partial
from pathlib import Path

import pytest

from shared.images.decoders import Decoders
from tests.hostile_decoder import file_that
from tests.integration.hostile.conftest import Sent
from tests.photographs import portraits
from workers.detection import task as detection

DEADLY = {
    "exit": "decode_crashed",
    "segfault": "decode_crashed",
    "loop": "decode_timeout",
    "four_gigabytes": "too_large",
    "fork": "broken_image",  # it only tells that it could not
}


@pytest.fixture(autouse=True)
def taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before `sent` builds the stage."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    planted = partial(Decoders, cpu_seconds=1, module="tests.hostile_decoder")
    monkeypatch.setattr(detection, "Decoders", planted)


def test_neighbours_of_deadly_images_succeed(sent: Sent) -> None:
    neighbours = portraits(2 * len(DEADLY))
    files = dict(neighbours[: len(DEADLY)]) | {deed: file_that(deed) for deed in DEADLY} | dict(neighbours)
    ends = sent(files)
    assert {deed: ends.pop(deed) for deed in DEADLY} == DEADLY
    assert list(ends.values()) == ["face"] * len(neighbours)
