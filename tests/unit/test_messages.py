"""Messages as workers of the version before and after understand them, recorded: both are at work at once."""

from uuid import UUID

from celery import Celery

from shared.jobs.delivery import Batch
from shared.jobs.states import Priority, Stage
from shared.pipeline.celery_app import build
from shared.pipeline.messages import send
from shared.pipeline.stages import PLANS, QUEUES

BATCH = UUID("8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57")
# Never changed; what is added must have a default for messages that lack it.
RECORDED = {"batch_id": "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57", "image_ids": [7, 8]}
TASKS = {
    "intake": "intake.fetch_images",
    "detection": "detection.find_faces",
    "captioning": "captioning.describe_faces",
    "embedding": "embedding.embed_faces",
    "scoring": "scoring.score_faces",
}
NAMES = {name for stage in TASKS for name in (stage, f"{stage}.interactive")}


def sent(batch: Batch) -> tuple[str, dict[str, object], str]:
    """What goes to the broker: the task, its arguments, the queue."""
    celery, found = build("memory://"), []

    def take(self: Celery, name: str, kwargs: dict[str, object], queue: str, **_: object) -> None:
        found.append((name, kwargs, queue))

    celery.send_task = take.__get__(celery)
    send(celery, [batch], Priority.BULK)
    [message] = found
    return message


def test_messages_are_those_that_were_recorded() -> None:
    for stage in Stage:
        assert sent(Batch(stage, BATCH, (7, 8))) == (TASKS[stage], RECORDED, stage)
        assert sent(Batch(stage, BATCH, (7, 8), alone=True)) == (TASKS[stage], RECORDED | {"alone": True}, stage)


def test_tasks_and_queues_have_the_names_that_they_had() -> None:
    assert {str(stage): plan.task for stage, plan in PLANS.items()} == TASKS
    assert set(QUEUES) == NAMES
