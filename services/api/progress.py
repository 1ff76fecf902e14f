"""How far a job is and how long it will take, worked out from its counters. Knows no database and no web."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.jobs.states import FINAL, ImageState, Stage

JOURNEY = list(Stage)


@dataclass(frozen=True)
class Counts:
    """A job's counters. In a job that scores the faces of another again, described images begin at embedding."""

    images: Mapping[tuple[Stage, ImageState], int]
    rescored: bool = False

    @property
    def total(self) -> int:
        return sum(self.images.values())

    def in_state(self, state: ImageState) -> int:
        return sum(number for (_, there), number in self.images.items() if there == state)

    def waiting(self, stage: Stage) -> int:
        """Images at a stage that nobody works on."""
        return self.images.get((stage, ImageState.READY), 0) + self.images.get((stage, ImageState.DISPATCHED), 0)

    def running(self, stage: Stage) -> int:
        """Images at a stage that are being worked on."""
        return self.images.get((stage, ImageState.RUNNING), 0)

    def passed(self, stage: Stage) -> int:
        """Images beyond a stage, or ended at it."""
        place = JOURNEY.index(stage)
        return sum(
            number
            for (there, state), number in self.images.items()
            if JOURNEY.index(there) > place or (there == stage and state in FINAL)
        )

    def ahead(self, stage: Stage) -> int:
        """Unfinished images that have a stage still before them."""
        place = JOURNEY.index(stage)
        return sum(
            number
            for (there, state), number in self.images.items()
            if state not in FINAL and JOURNEY.index(there) <= place
        )

    @property
    def progress(self) -> float:
        """The share of all stages of all images that is done; 1 if there is nothing to do.

        An ended image has nothing left to do. Intake does not count: uploads have it behind them from the start, and
        would begin at a fifth. Neither does an image that a rescored job has only as the source left it: to count as
        done what was never begun would make the rest look quick.
        """
        begin = JOURNEY.index(Stage.EMBEDDING if self.rescored else Stage.DETECTION)
        whole = len(JOURNEY) - begin
        done = todo = 0
        for (stage, state), number in self.images.items():
            behind = JOURNEY.index(stage) - begin
            if self.rescored and behind < 0:
                continue
            done += number * (whole if state in FINAL else max(behind, 0))
            todo += number * whole
        return done / todo if todo else 1.0


def seconds_left(counts: Counts, rates: Mapping[Stage, float]) -> float | None:
    """Until the last image has passed the last stage, at so many images a second; None if no rate is known.

    Stages work side by side, so it is the slowest one that tells. One that nothing has passed yet is left out: the
    stages before it hold it up.
    """
    left = [counts.ahead(stage) / rates[stage] for stage in Stage if rates.get(stage) and counts.ahead(stage)]
    if left:
        return round(max(left), 1)
    return None if any(counts.ahead(stage) for stage in Stage) else 0.0
