"""The journey of an image, as one table. What a stage reads and writes is told in `workers/README.md`."""

from dataclasses import dataclass
from typing import Literal

from shared.jobs.states import Priority, Stage


@dataclass(frozen=True)
class Plan:
    """How the work of one stage is run.

    task: the name Celery and Flower show, so it says what is done.
    pool: `solo` where the process computes (one model, one batch at a time, nothing is forked after torch is loaded);
        `threads` where it waits for others.
    batch_images: how many images a batch has at most. Few where one image takes long, so that a batch stays far below
        `max_run_seconds` and its work is spread over the workers.
    """

    task: str
    pool: Literal["solo", "threads"]
    concurrency: int
    batch_images: int = 16


PLANS: dict[Stage, Plan] = {
    Stage.INTAKE: Plan("intake.fetch_images", "threads", 2),
    Stage.DETECTION: Plan("detection.find_faces", "solo", 1),
    Stage.CAPTIONING: Plan("captioning.describe_faces", "threads", 2, batch_images=4),
    Stage.EMBEDDING: Plan("embedding.embed_faces", "solo", 1),
    Stage.SCORING: Plan("scoring.score_faces", "solo", 1),
}


def queue(stage: Stage, priority: Priority) -> str:
    """The queue of a stage for jobs of this priority.

    A stage's workers listen to both of its queues and take from them in turn. So what somebody waits for never stands
    behind all that is done in bulk, and bulk work is never starved.
    """
    return str(stage) if priority == Priority.BULK else f"{stage}.{priority}"


QUEUES = [queue(stage, priority) for stage in Stage for priority in Priority]
