"""Removing what a finished job leaves that nobody needs: embedded states, and originals with all their metadata.

Originals that could not be read stay, so that their failure can be looked into, until their job is deleted.
"""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.database.tables import Image, Job
from shared.pipeline.connections import Connections
from shared.storage import keys
from shared.storage.objects import delete_prefix

JOBS_A_ROUND = 20
KEYS_AT_ONCE = 1000


def tidy(connections: Connections) -> None:
    """Tidy up after some finished jobs. Repeating it is harmless; what a crash left undone is done in a later round."""
    with Session(connections.database) as session:
        jobs = session.scalars(
            select(Job.id)
            .where(Job.finished_at.is_not(None), Job.tidied_at.is_(None))
            .order_by(Job.finished_at)
            .limit(JOBS_A_ROUND)
        ).all()
        for job_id in jobs:
            delete_prefix(connections.objects, keys.states(job_id))
            read = select(Image.original_key).where(
                Image.job_id == job_id, Image.photo_key.is_not(None), Image.original_key.is_not(None)
            )
            for some in session.scalars(read).partitions(KEYS_AT_ONCE):
                connections.objects.delete([key for key in some if key])
            session.execute(
                update(Image).where(Image.job_id == job_id, Image.photo_key.is_not(None)).values(original_key=None)
            )
            session.execute(update(Job).where(Job.id == job_id).values(tidied_at=func.now()))
            session.commit()
