"""Deleting jobs whose time is over, as if their owner had asked for it."""

import structlog
from sqlalchemy import text

from shared.database.session import autocommitting
from shared.jobs.erase import Order, erase_job
from shared.jobs.in_hand import window_seconds
from shared.pipeline.connections import Connections

log = structlog.get_logger()

JOBS_A_ROUND = 20
# As the audit log and the receipt name it.
RETENTION = "retention"


def expire(connections: Connections) -> int:
    """Delete some jobs that have expired; returns how many. Their objects follow like those of all deleted jobs."""
    with autocommitting(connections.database) as connection:
        due = connection.execute(text(_DUE), {"limit": JOBS_A_ROUND}).all()
    return sum(_expired(connections, job.id, job.tenant) for job in due)


def _expired(connections: Connections, job_id: object, tenant: str) -> bool:
    order = Order(tenant, RETENTION, RETENTION, window_seconds(connections.settings))
    with connections.database.begin() as connection:
        # Again, and under lock: a retry takes the time back.
        still = connection.execute(text(_STILL), {"job": job_id}).scalar_one_or_none()
        receipt = None if still is None else erase_job(connection, still, order)
    if receipt is not None:
        log.info("expired", job=str(job_id), deletion=str(receipt))
    return receipt is not None


_DUE = "select id, tenant from jobs where expires_at <= now() order by expires_at limit :limit"
_STILL = "select id from jobs where id = :job and expires_at <= now() for no key update"
