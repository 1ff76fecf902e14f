"""What can be seen in the database between two steps."""

from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row


class Image(NamedTuple):
    """A row of `images`, as far as a step may change it."""

    id: int
    job: UUID
    position: int
    stage: str
    state: str
    attempt: int
    reason: str | None
    held_back: bool  # not to be let in yet
    batch: UUID | None
    token: UUID | None
    leased: bool
    expired: bool
    finished: bool
    failures: int  # failed attempts on record


class Job(NamedTuple):
    """A row of `jobs`."""

    id: UUID
    tenant: str
    state: str
    finished: bool
    late: bool
    root: UUID | None  # the job whose faces it scores again


class Seen(NamedTuple):
    """All of it: images and jobs by id, counters by job, stage and state, events by job and type, faces' scores."""

    images: dict[int, Image]
    jobs: dict[UUID, Job]
    counts: dict[tuple[UUID, str, str], int]
    events: dict[tuple[UUID, str], int]
    scores: dict[int, list[float | None]]

    def of_job(self, job: UUID) -> list[Image]:
        """The images of a job."""
        return [image for image in self.images.values() if image.job == job]


NOTHING = Seen({}, {}, {}, {}, {})


def look(connection: psycopg.Connection) -> Seen:
    """What is committed. Nobody writes meanwhile, so these reads see the same. They go in one exchange."""
    with connection.pipeline():
        rows = [connection.execute(query) for query in (_IMAGES, _JOBS, _COUNTS, _EVENTS, _SCORES)]
    images = {row[0]: Image(*row) for row in rows[0]}
    jobs = {row[0]: Job(*row) for row in rows[1]}
    counts = {(job, stage, state): n for job, stage, state, n in rows[2]}
    events = {(job, type_): n for job, type_, n in rows[3]}
    scores: dict[int, list[float | None]] = {}
    for image, score in rows[4]:
        scores.setdefault(image, []).append(score)
    return Seen(images, jobs, counts, events, scores)


def receipts(connection: psycopg.Connection, since: int) -> list[tuple[UUID, float]]:
    """Of the receipts after the first so many: the job, and for how many seconds more its objects are swept."""
    query = "select job_id, extract(epoch from last_sweep_at - now())::float from deletions order by requested_at, id"
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return [(row[0], row[1]) for row in cursor.execute(query).fetchall()[since:]]


_IMAGES = """
select id, job_id, position, stage, state, attempt, reason, coalesce(not_before > now(), false), batch_id, lease_token,
    lease_expires_at is not null, coalesce(lease_expires_at < now(), false), finished_at is not null,
    (select count(*) from attempts where image_id = images.id)
from images order by id
"""
_JOBS = """
select id, tenant, state, finished_at is not null, coalesce(deadline <= now(), false), rescored_from
from jobs order by created_at
"""
_COUNTS = "select job_id, stage, state, images from job_counts where images <> 0"
_EVENTS = "select job_id, type, count(*) from deliveries group by job_id, type"
_SCORES = "select image_id, score from faces order by image_id, position"
