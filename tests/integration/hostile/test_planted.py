"""A decoder that one image takes over, in a real detection stage: the image fails for good, its neighbours do not."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.images.decoders import Decoders
from shared.pipeline.connections import Connections
from tests.hostile_decoder import file_that
from tests.integration.hostile.conftest import WAITS, Sent
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
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the module that a test names as the decoder. Comes before `sent` builds the stage."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    monkeypatch.setattr(detection, "Decoders", partial(Decoders, cpu_seconds=1, module=request.param))


@pytest.mark.parametrize("planted", ["tests.hostile_decoder"], indirect=True)
def test_neighbours_of_deadly_images_succeed(sent: Sent) -> None:
    neighbours = portraits(2 * len(DEADLY))
    files = dict(neighbours[: len(DEADLY)]) | {deed: file_that(deed) for deed in DEADLY} | dict(neighbours)
    ends = sent(files)
    assert {deed: ends.pop(deed) for deed in DEADLY} == DEADLY
    assert list(ends.values()) == ["face"] * len(neighbours)


@pytest.mark.parametrize("planted", ["shared.no_such_module"], indirect=True)
def test_without_a_decoder_images_wait(sent: Sent, connections: Connections) -> None:
    """It is no image's fault, so no attempt is counted."""
    assert set(sent(dict(portraits(3))).values()) == {f"{WAITS}decoder_unavailable"}
    with connections.database.connect() as connection:
        assert connection.execute(text("select count(*), max(attempt) from attempts")).one() == (0, None)
        assert connection.execute(text("select max(attempt) from images")).scalar_one() == 0
