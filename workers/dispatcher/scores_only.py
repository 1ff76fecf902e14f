"""Jobs that keep scores only: pixels and captions of an image go as soon as it has ended, also while the job runs.

What lies under no image's name, because its worker was killed, goes when the job is tidied.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import text

from shared.database.session import autocommitting
from shared.errors import StorageUnavailable
from shared.jobs import forget
from shared.jobs.keeping import unless_kept
from shared.jobs.states import FINAL
from shared.pipeline.connections import Connections
from shared.storage import keys

log = structlog.get_logger()

# Images looked at in one step, in the order in which they are let in. More than a job has on their way.
PLACES_AT_ONCE = 1000


class ScoresOnly:
    """Remembers up to which position each job's images are done with, so that a step costs the same in a large job.

    After a restart it begins anew.
    """

    def __init__(self) -> None:
        self._done: dict[UUID, int] = {}

    def clear(self, connections: Connections) -> int:
        """One step in each job that keeps scores only and is not tidied. Returns how many images were cleared."""
        query = text("select id from jobs where scores_only and tidied_at is null")
        with autocommitting(connections.database) as connection:
            jobs: Sequence[UUID] = connection.execute(query).scalars().all()
        self._done = {job_id: self._done.get(job_id, 0) for job_id in jobs}
        if not jobs:
            return 0
        return unless_kept(connections.database, lambda: sum(self._step(connections, job_id) for job_id in jobs))

    def _step(self, connections: Connections, job_id: UUID) -> int:
        begin = self._done[job_id]
        try:
            cleared = clear_some(connections, job_id, begin, begin + PLACES_AT_ONCE)
        except StorageUnavailable as error:
            log.warning("not_cleared", job=str(job_id), error=error.detail)
            return 0
        with connections.database.connect() as connection:
            values = {"job": job_id, "begin": begin, "final": [str(state) for state in FINAL]}
            place = connection.execute(text(_FIRST_OPEN), values).scalar_one_or_none()
        end = begin + PLACES_AT_ONCE
        self._done[job_id] = end if place is None else min(place, end)
        # Where there was nothing to clear, because another dispatcher had done it, the next step follows at once.
        return cleared or int(place is not None and place > end)


def clear_some(connections: Connections, job_id: UUID, begin: int, end: int) -> int:
    """Clear the ended images at some positions, first the objects, then the rows. Returns how many those are."""
    with connections.database.connect() as connection:
        values = {"job": job_id, "begin": begin, "end": end, "final": [str(state) for state in FINAL]}
        images = connection.execute(text(_WITH_PIXELS), values).all()
    if not images:
        return 0
    # A job that scores another one's faces again looks at objects that are not its own.
    own = [key for image in images for key in image.keys if key and key.startswith(keys.job(job_id))]
    connections.objects.delete(own)
    with connections.database.begin() as connection:
        forget.pixels(connection, job_id, [image.id for image in images])
    return len(images)


_WITH_PIXELS = """
select images.id, array[original_key, photo_key]
    || array(select crop_key from faces where image_id = images.id and crop_key is not null) as keys
from images
where job_id = :job and position >= :begin and position < :end and state = any(:final) and (
    original_key is not null or photo_key is not null
    or exists (select from faces where image_id = images.id and (crop_key is not null or caption is not null)))
order by position
"""

_FIRST_OPEN = """
select position from images
where job_id = :job and position >= :begin and state <> all(:final)
order by position limit 1
"""
