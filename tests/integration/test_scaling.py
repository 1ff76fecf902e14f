"""The queries by which KEDA scales workers, run against the database that they are made for."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.jobs import pausing
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.messages import waiting_messages
from tests.kubernetes import FOLDER, read
from workers.dispatcher import dispatch

IMAGES = 200  # more than are let in at once


def asked(stage: Stage) -> str:
    scaled = next(each for each in read(FOLDER / "base" / f"{stage}.yaml") if each["kind"] == "ScaledObject")
    return str(scaled["spec"]["triggers"][0]["metadata"]["query"])


@pytest.fixture
def waiting(connections: Connections) -> Callable[[], dict[Stage, int]]:
    """What KEDA would be told, by stage."""

    def ask() -> dict[Stage, int]:
        with connections.database.connect() as connection:
            return {stage: connection.execute(text(asked(stage))).scalar_one() for stage in Stage}

    return ask


def test_it_counts_all_that_waits_also_before_the_door(
    connections: Connections, new_job: Callable[..., UUID], waiting: Callable[[], dict[Stage, int]]
) -> None:
    nothing = dict.fromkeys(Stage, 0)
    assert waiting() == nothing
    new_job(IMAGES)
    assert waiting() == {**nothing, Stage.DETECTION: IMAGES}

    dispatch.let_in(connections)
    messages = sum(waiting_messages(connections.broker, Stage.DETECTION, priority) for priority in Priority)
    assert messages < IMAGES / 2, "the length of a queue says little: a message names many, and most are not let in"
    assert waiting() == {**nothing, Stage.DETECTION: IMAGES}


def test_nobody_is_started_for_a_job_that_is_paused_or_done(
    connections: Connections, new_job: Callable[..., UUID], waiting: Callable[[], dict[Stage, int]]
) -> None:
    job = new_job(IMAGES)
    with connections.database.begin() as connection:
        pausing.pause_job(connection, job)
    assert waiting() == dict.fromkeys(Stage, 0)
    with connections.database.begin() as connection:
        pausing.resume_job(connection, job)
    assert waiting()[Stage.DETECTION] == IMAGES
    with connections.database.begin() as connection:
        connection.execute(text("delete from jobs"))
    assert waiting() == dict.fromkeys(Stage, 0)
