"""The journey of an image, as one table. What a stage reads and writes is told in `workers/README.md`."""

from dataclasses import dataclass
from math import ceil

from shared.jobs.states import Priority, Stage


@dataclass(frozen=True)
class Plan:
    """How the work of one stage is run.

    task: the name Celery and Flower show, so it says what is done.
    computes: whether it keeps a core busy; the others wait for other servers.
    at_once: batches that one process has in hand, each in a thread of its own. Where it computes, one batch computes
        while the next is read from storage and the one before is written.
    """

    task: str
    computes: bool
    at_once: int = 2


PLANS: dict[Stage, Plan] = {
    Stage.INTAKE: Plan("intake.fetch_images", computes=False),
    Stage.DETECTION: Plan("detection.find_faces", computes=True),
    Stage.CAPTIONING: Plan("captioning.describe_faces", computes=False, at_once=4),
    Stage.EMBEDDING: Plan("embedding.embed_faces", computes=True),
    Stage.SCORING: Plan("scoring.score_faces", computes=True),
}
# Images that go together at most: enough that messages and transactions cost little beside the work, and that a GPU is
# filled; few enough that the work is spread.
BATCH_IMAGES = 16
# What waits of a job is let in as so many batches at least, if it has as many images: a small job is spread over the
# workers, and so is the end of a large one; what is large goes in full batches.
SPREAD = 8


def batch_size(waiting: int) -> int:
    """How many images go together when so many of a job wait at a stage."""
    return min(BATCH_IMAGES, max(1, ceil(waiting / SPREAD)))


def queue(stage: Stage, priority: Priority) -> str:
    """The queue of a stage for jobs of this priority.

    A stage's workers listen to both of its queues and take from them in turn. So what somebody waits for never stands
    behind all that is done in bulk, and bulk work is never starved.
    """
    return str(stage) if priority == Priority.BULK else f"{stage}.{priority}"


QUEUES = [queue(stage, priority) for stage in Stage for priority in Priority]
