"""Until when somebody may still write objects of images that were taken from it.

Its rows are fenced, but objects have no fence: a worker that lost its images, or that works for a job that was
cancelled or deleted meanwhile, may write what it had in hand, until it is ended as stuck.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from shared.settings import Settings


def window_seconds(settings: Settings) -> float:
    """For how long that is: a worker looks at the clock when it renews its lease, so a little later than the limit."""
    return settings.max_run_seconds + settings.run_lease_seconds


def in_hand_until(connection: Connection, jobs: Sequence[UUID], images: Sequence[int], window: float) -> datetime:
    """The time after which nobody writes objects of these jobs or images any more; now, if nobody can already.

    That depends on where images are running, and on those that were taken from a worker that may live. In a large job
    it is a long search; so it is made only in jobs that were at work within the window.
    """
    values = {"jobs": list(jobs), "images": list(images), "window": window}
    return connection.execute(text(_UNTIL), values).scalar_one()


_UNTIL = """
select greatest(clock_timestamp(), max(case
    when images.state = 'running' then clock_timestamp()
    when images.state = 'cancelled' or images.reason in ('deadline_passed', 'worker_lost') then images.finished_at
    else (
        select max(ended_at) from attempts
        where image_id = images.id and reason in ('deadline_passed', 'worker_lost'))
end) + make_interval(secs => :window))
from images join jobs on jobs.id = images.job_id
where (images.job_id = any(:jobs) or images.id = any(:images))
    and (jobs.finished_at is null or jobs.finished_at > now() - make_interval(secs => :window))
"""
