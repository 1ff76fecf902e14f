"""Failing what is unfinished of jobs whose deadline has passed."""

import structlog

from shared.database.session import autocommitting
from shared.jobs import deadlines
from shared.pipeline import counting
from shared.pipeline.connections import Connections

log = structlog.get_logger()

JOBS_A_ROUND = 20


def fail_late(connections: Connections) -> int:
    """Do so for some jobs, each in a transaction of its own: a million images take seconds. Returns how many images."""
    failed = 0
    with autocommitting(connections.database) as connection:
        late = deadlines.late_jobs(connection, JOBS_A_ROUND)
    for job_id in late:
        with connections.database.begin() as connection:
            late_at = deadlines.fail_late(connection, job_id)
        for stage, images in late_at.items():
            counting.given_up(stage, "deadline_passed", images)
        images = sum(late_at.values())
        log.info("deadline_passed", job=str(job_id), count=images)
        failed += images
    return failed
