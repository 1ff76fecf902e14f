"""Telling which images were taken back: in logs, and in the metrics."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from shared import metrics
from shared.jobs.states import ImageState
from shared.pipeline import counting

log = structlog.get_logger()

UNDELIVERED, WORKER_LOST, MESSAGE_LOST = "undelivered", "worker_lost", "message_lost"
# Whose lease ran out.
_LEASES = {UNDELIVERED: "message", WORKER_LOST: "worker"}


def tell(rows: Sequence[Row[Any]], reason: str) -> None:
    """A line for each batch. To be called after COMMIT."""
    alike: dict[tuple[UUID, str, UUID, int, str], list[int]] = defaultdict(list)
    for row in rows:
        # Where no worker had them, it is the attempt that their message was for.
        attempt = row.attempt if reason == WORKER_LOST else row.attempt + 1
        alike[row.job_id, row.stage, row.batch_id, attempt, row.state].append(row.id)
    for (job, stage, batch, attempt, state), images in alike.items():
        if reason == MESSAGE_LOST:
            metrics.LOST_MESSAGES.labels(stage).inc(len(images))
        else:
            metrics.LEASE_EXPIRIES.labels(stage, _LEASES[reason]).inc(len(images))
        if state == ImageState.FAILED:
            counting.given_up(stage, reason, len(images))
        about = {"job": str(job), "stage": stage, "batch": str(batch), "attempt": attempt, "images": images}
        log.warning("taken_back", **about, reason=reason)
