"""Ringing the doorbell: telling the workers of a stage that a batch waits for them."""

from collections.abc import Iterable
from typing import cast

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis

from shared.jobs.delivery import Batch
from shared.jobs.states import Priority, Stage
from shared.pipeline.broker import asked
from shared.pipeline.stages import PLANS, queue

log = structlog.get_logger()


def send(celery: Celery, batches: Iterable[Batch], priority: Priority) -> None:
    """Send one message for each batch, of jobs of this priority. Call it after COMMIT.

    A message that cannot be sent loses nothing: the dispatcher notices and sends another. Whoever calls has bound the
    job for the lines that tell of it.
    """
    for batch in batches:
        # Of the batch that is sent: what a worker has bound is about the one that it has done.
        about = {
            "stage": batch.stage,
            "batch": str(batch.id),
            "images": list(batch.image_ids),
            "attempt": batch.attempt,
        }
        said: dict[str, object] = {"batch_id": about["batch"], "image_ids": about["images"]}
        if batch.alone:
            said["alone"] = True
        try:
            celery.send_task(
                PLANS[batch.stage].task,
                kwargs=said,
                # As Flower shows it. Celery's own way to write it down is made for what may be endless.
                argsrepr="()",
                kwargsrepr=repr(said),
                queue=queue(batch.stage, priority),
                ignore_result=True,
                add_to_parent=False,
            )
            log.debug("message_sent", **about)
        except OperationalError as error:
            log.warning("message_not_sent", **about, error=str(error))


def waiting_messages(broker: Redis, stage: Stage, priority: Priority) -> int:
    """How many messages wait in one queue of a stage; those that a worker has in hand are not among them.

    Raises BrokerUnavailable.
    """
    with asked():
        return broker.llen(queue(stage, priority))


def next_message(broker: Redis, stage: Stage, priority: Priority) -> bytes | None:
    """The message that the next worker with free hands takes from one queue of a stage. Raises BrokerUnavailable."""
    with asked():
        return cast("bytes | None", broker.lindex(queue(stage, priority), -1))
