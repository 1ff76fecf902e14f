"""Removing what a finished job leaves that nobody needs: embedded states, and originals with all their metadata.

Originals of images that failed stay, so that the failure can be looked into, until their job is deleted; unless the job
keeps scores only. A retry may open a job again at any time, so objects are listed before it is looked at whether the
job has ended: what is on the list is older than that.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from uuid import UUID

import structlog
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.orm import Session

from shared.database.session import autocommitting
from shared.database.tables import Image, Job
from shared.errors import StorageUnavailable
from shared.jobs import forget, strays
from shared.jobs.in_hand import in_hand_until, window_seconds
from shared.jobs.keeping import unless_kept
from shared.jobs.states import FINAL, ImageState
from shared.pipeline.connections import Connections
from shared.storage import keys
from workers.dispatcher.scores_only import PLACES_AT_ONCE, clear_some

log = structlog.get_logger()

JOBS_A_ROUND = 20
KEYS_AT_ONCE = 1000
# These never move again, whatever the client asks for.
SETTLED = FINAL - {ImageState.FAILED}


def tidy(connections: Connections) -> int:
    """Tidy up after some finished jobs; returns after how many. What a crash left undone is done in a later round."""
    with autocommitting(connections.database) as connection:
        jobs = connection.execute(
            select(Job.id, Job.scores_only, Job.finished_at)
            .where(Job.finished_at.is_not(None), Job.tidied_at.is_(None))
            .order_by(func.random())  # so that one job that cannot be tidied does not hold up the others
            .limit(JOBS_A_ROUND)
        ).all()
    if not jobs:
        return 0
    return unless_kept(
        connections.database,
        lambda: sum(_tidied(connections, job.id, job.scores_only, job.finished_at) for job in jobs),
    )


def _tidied(connections: Connections, job_id: UUID, scores_only: bool, finished_at: datetime | None) -> bool:
    try:
        _clear(connections, job_id, keys.states(job_id))
        if scores_only:
            _clear_pixels(connections, job_id)
        while _some_originals_removed(connections, job_id):
            pass
        # Those that no image names: of attempts that were cut short.
        _clear(connections, job_id, keys.originals(job_id), keep=_kept_originals)
        if not scores_only:
            for prefix in (keys.photos(job_id), keys.crops(job_id)):
                _clear_strays(connections, job_id, prefix)
    except StorageUnavailable as error:
        log.warning("not_tidied", job=str(job_id), error=error.detail)
        return False
    with Session(connections.database) as session, session.begin():
        if scores_only and _in_hand(connections, session, job_id):
            return False
        # Not of a job that was opened again and has ended anew since: what that left is still to be found.
        ended = update(Job).where(Job.id == job_id, Job.finished_at == finished_at)
        session.execute(ended.values(tidied_at=func.now()))
    return True


def _clear(
    connections: Connections, job_id: UUID, prefix: str, keep: Callable[[Connections, UUID], set[str]] | None = None
) -> None:
    """Remove what lies under a prefix, but for some of it, if the job has ended. What is to be kept is asked last: what
    is on the list is older.
    """
    found = list(connections.objects.keys(prefix))
    with connections.database.connect() as connection:
        if not _ended(connection, job_id):
            return
    kept = keep(connections, job_id) if keep else set()
    connections.objects.delete([key for key in found if key not in kept])


def _clear_strays(connections: Connections, job_id: UUID, prefix: str) -> None:
    """Remove what lies under a prefix and no row names, if the job has ended."""
    stored = iter(connections.objects.keys(prefix))
    while some := list(islice(stored, KEYS_AT_ONCE)):
        with connections.database.connect() as connection:
            left = strays.unnamed(connection, job_id, some) if _ended(connection, job_id) else []
        if left:
            connections.objects.delete(left)
            log.info("strays_removed", job=str(job_id), objects=len(left))


def _ended(connection: Connection, job_id: UUID) -> bool:
    query = text("select exists (select from jobs where id = :job and finished_at is not null)")
    return bool(connection.execute(query, {"job": job_id}).scalar_one())


def _clear_pixels(connections: Connections, job_id: UUID) -> None:
    """All that is left of the pixels and captions of a job that keeps scores only."""
    with connections.database.connect() as connection:
        places: int = connection.execute(
            text("select coalesce(max(position) + 1, 0) from images where job_id = :job"), {"job": job_id}
        ).scalar_one()
    for begin in range(0, places, PLACES_AT_ONCE):
        clear_some(connections, job_id, begin, begin + PLACES_AT_ONCE)
    for prefix in (keys.photos(job_id), keys.crops(job_id)):
        _clear(connections, job_id, prefix)


def _in_hand(connections: Connections, session: Session, job_id: UUID) -> bool:
    """Whether somebody who was taken for dead may still write pixels."""
    until = in_hand_until(session.connection(), [job_id], [], window_seconds(connections.settings))
    return until > session.execute(select(func.clock_timestamp())).scalar_one()


def _kept_originals(connections: Connections, job_id: UUID) -> set[str]:
    with Session(connections.database) as session:
        query = select(Image.original_key).where(Image.job_id == job_id, Image.original_key.is_not(None))
        return {key for key in session.scalars(query) if key}


def _some_originals_removed(connections: Connections, job_id: UUID) -> bool:
    """Remove some originals, first the objects, then the keys of them; no transaction waits for storage meanwhile."""
    with Session(connections.database) as session:
        found = session.execute(
            select(Image.id, Image.original_key)
            .where(Image.job_id == job_id, Image.original_key.is_not(None), Image.state.in_(SETTLED))
            .limit(KEYS_AT_ONCE)
        ).all()
    if found:
        connections.objects.delete([row.original_key for row in found])
        with connections.database.begin() as connection:
            forget.originals(connection, job_id, [row.id for row in found])
    return bool(found)
