"""Removing what submissions left in storage that never became a job, because the API died while they arrived."""

import structlog

from shared.database.session import autocommitting
from shared.jobs import arrivals
from shared.pipeline.connections import Connections
from shared.storage import keys

log = structlog.get_logger()

SUBMISSIONS_A_ROUND = 100


def remove_abandoned(connections: Connections) -> int:
    """Remove some; returns how many submissions there were. Raises StorageUnavailable; then they are found again."""
    with autocommitting(connections.database) as connection:
        given_up = arrivals.give_up(connection, SUBMISSIONS_A_ROUND)
    for job_id in given_up:
        objects = connections.objects.clear(keys.job(job_id))
        log.info("abandoned_submission_removed", job=str(job_id), objects=objects)
    if given_up:
        with connections.database.begin() as connection:
            arrivals.removed(connection, given_up)
    return len(given_up)
