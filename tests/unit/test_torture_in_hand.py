"""A fault that is to meet a batch in a worker's hands does so, is done again, or says that it did not."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import cast
from uuid import UUID, uuid4

import pytest

from shared.jobs.states import Stage
from tests.torture.faults.in_hand import TRIES, at_each_stage, strike
from tests.torture.faults.table import Act
from tests.torture.patience import Missed
from tests.torture.torture import Torture


class Jobs:
    """Instead of a machine: each stage has images of a job in its hands, or has not any more."""

    def __init__(self, *, running: bool = True) -> None:
        self.submitted: list[str] = []
        self.met: Counter[str] = Counter()
        self.running = running

    def submit(self, rng: Random) -> UUID:
        self.submitted.append("files")
        return uuid4()

    def submit_links(self) -> UUID:
        self.submitted.append("links")
        return uuid4()

    def until_running(self, stage: str, job: UUID) -> bool:
        return self.running

    def over(self, job: UUID) -> bool:
        return True

    def until(self, happened: Callable[[], bool]) -> bool:
        return happened()


def struck(jobs: Jobs, stage: Stage, *blows: bool) -> None:
    answers = iter(blows)
    strike(stage, cast(Torture, jobs), Random(1), lambda job: next(answers))


def test_it_counts_where_a_worker_had_something_in_hand() -> None:
    jobs = Jobs()
    struck(jobs, Stage.INTAKE, True)
    assert jobs.submitted == ["links"], "of files there is nothing to do for intake"
    assert jobs.met == {"in hand at intake": 1}


def test_it_is_done_again_where_it_came_too_late() -> None:
    jobs = Jobs()
    struck(jobs, Stage.SCORING, False, False, True)
    assert jobs.submitted == ["files"] * 3
    assert jobs.met == {"in hand at scoring": 1, "came too late, done again": 2}


@pytest.mark.parametrize("running", [True, False])
def test_it_says_when_it_never_met_anything(running: bool) -> None:
    jobs = Jobs(running=running)
    with pytest.raises(Missed):
        struck(jobs, Stage.SCORING, *[False] * TRIES)
    assert len(jobs.submitted) == TRIES


def test_each_stage_has_its_turn() -> None:
    done: list[Stage] = []

    def at(stage: Stage) -> Act:
        return lambda torture, rng: done.append(stage)

    act = at_each_stage(at)
    for _ in range(2 * len(Stage)):
        act(cast(Torture, Jobs()), Random(1))
    assert Counter(done) == dict.fromkeys(Stage, 2)
