"""What is done to a batch that a worker has in its hands; and again, with another job, where it came too late."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from random import Random
from uuid import UUID

from shared.jobs.states import Stage
from tests.torture.faults.table import Act
from tests.torture.patience import Missed
from tests.torture.repetitions import SEED
from tests.torture.torture import Torture

TRIES = 5
LOST = """
    select exists (select from attempts join images on images.id = image_id
        where job_id = :job and attempts.stage = :stage and attempts.reason = 'worker_lost')
"""

# Does it to a job, and tells whether a worker had something of it in its hands.
Blow = Callable[[UUID], bool]


def strike(stage: Stage, torture: Torture, rng: Random, blow: Blow) -> None:
    """Do something while a worker of this stage holds images, and note that it did. Raises Missed."""
    for _ in range(TRIES):
        job = torture.submit_links() if stage == Stage.INTAKE else torture.submit(rng)
        if torture.until_running(stage, job) and blow(job):
            torture.met[f"in hand at {stage}"] += 1
            return
        torture.met["came too late, done again"] += 1
        torture.until(partial(torture.over, job))  # or the next blow would meet what is left of this one
    raise Missed(f"no batch was in hand at {stage}, {TRIES} times")


def at_each_stage(act: Callable[[Stage], Act]) -> Act:
    """At one stage after the other, so that each has its share; the first one is chosen by chance."""
    stages: Iterator[Stage] = islice(cycle(Stage), Random(SEED).randrange(len(Stage)), None)

    def at_the_next(torture: Torture, rng: Random) -> None:
        act(next(stages))(torture, rng)

    return at_the_next


def lost(stage: Stage, torture: Torture, job: UUID) -> bool:
    """Whether images of a job came to be taken from a worker that was gone. If not, it has saved them just before."""
    torture.until(lambda: bool(torture.scalar(LOST, job=job, stage=stage)) or torture.over(job))
    return bool(torture.scalar(LOST, job=job, stage=stage))
