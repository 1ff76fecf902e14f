"""Removing what a finished job leaves that nobody needs: embedded states, and originals with all their metadata.

Originals of images that failed stay, so that the failure can be looked into, until their job is deleted.
"""

from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.database.tables import Image, Job
from shared.errors import StorageUnavailable
from shared.jobs.states import ImageState
from shared.pipeline.connections import Connections
from shared.storage import keys
from shared.storage.objects import delete_prefix

log = structlog.get_logger()

JOBS_A_ROUND = 20
KEYS_AT_ONCE = 1000


def tidy(connections: Connections) -> int:
    """Tidy up after some finished jobs; returns after how many. What a crash left undone is done in a later round."""
    with Session(connections.database) as session:
        jobs = session.scalars(
            select(Job.id)
            .where(Job.finished_at.is_not(None), Job.tidied_at.is_(None))
            .order_by(func.random())  # so that one job that cannot be tidied does not hold up the others
            .limit(JOBS_A_ROUND)
        ).all()
    return sum(_tidied(connections, job_id) for job_id in jobs)


def _tidied(connections: Connections, job_id: UUID) -> bool:
    try:
        delete_prefix(connections.objects, keys.states(job_id))
        while _some_originals_removed(connections, job_id):
            pass
    except StorageUnavailable as error:
        log.warning("not_tidied", job=str(job_id), error=error.detail)
        return False
    with Session(connections.database) as session, session.begin():
        session.execute(update(Job).where(Job.id == job_id).values(tidied_at=func.now()))
    return True


def _some_originals_removed(connections: Connections, job_id: UUID) -> bool:
    """Remove some originals, first the objects, then the keys of them; no transaction waits for storage meanwhile."""
    with Session(connections.database) as session:
        found = session.execute(
            select(Image.id, Image.original_key)
            .where(Image.job_id == job_id, Image.original_key.is_not(None), Image.state != ImageState.FAILED)
            .limit(KEYS_AT_ONCE)
        ).all()
    connections.objects.delete([row.original_key for row in found])
    with Session(connections.database) as session, session.begin():
        removed = update(Image).where(Image.id.in_([row.id for row in found])).values(original_key=None)
        session.execute(removed)
    return bool(found)
