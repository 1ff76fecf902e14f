"""One round of the dispatcher: take back what was lost, let work in fairly, close what is finished."""

from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from shared import metrics
from shared.database.session import autocommitting
from shared.jobs import closing, delivery
from shared.jobs.delivery import Batch
from shared.jobs.states import Priority, Stage
from shared.jobs.sweep import any_expired, take_back_lost, take_back_undelivered
from shared.jobs.wake import Notices
from shared.pipeline.broker import asked, try_writing
from shared.pipeline.connections import Connections
from shared.pipeline.messages import send
from shared.pipeline.stages import BATCH_IMAGES, batch_size
from workers.dispatcher import taken_back

log = structlog.get_logger()

# Jobs let in within one round. Those beyond wait for the next, which begins as soon as this one has let somebody in.
JOBS_A_ROUND = 500
# However much there is to let in, jobs are closed in between, and a round that is stuck can be told from a long one.
ROUND_SECONDS = 5.0
# A notice that gets lost costs no more than that.
NOTHING_OPEN_SECONDS = 1.0


@dataclass
class OpenJob:
    """A job with images at the door: how many may still come in, how many wait at which stage, and of how many a batch
    is to be.
    """

    id: UUID
    priority: Priority
    room: int
    waiting: dict[Stage, int]
    batches: dict[Stage, int] = field(init=False)

    def __post_init__(self) -> None:
        self.batches = {stage: batch_size(images) for stage, images in self.waiting.items()}


def tick(connections: Connections) -> int:
    """One round. Returns how many images were let in: while that is not 0 there may be more to do at once.

    Raises BrokerUnavailable; then the jobs that are finished were closed all the same.
    """
    finish(connections)
    return let_in(connections)


def wait_for_work(connections: Connections, notices: Notices, seconds: float) -> None:
    """Wait for a notice between two rounds, for so long at most; longer while no job is open, for then only what sends
    a notice makes work.

    Raises SQLAlchemyError or psycopg.Error.
    """
    with autocommitting(connections.database) as connection:
        some_open = closing.any_open(connection)
    notices.wait(seconds if some_open else max(seconds, NOTHING_OPEN_SECONDS))


def sweep(connections: Connections) -> int:
    """Take back images whose message or worker was lost. Returns how many."""
    with autocommitting(connections.database) as connection:
        if not any_expired(connection):
            return 0
    # Each by itself: one transaction for both would touch counters in another order than workers that save.
    with connections.database.begin() as connection:
        undelivered = take_back_undelivered(connection)
    taken_back.tell(undelivered, taken_back.UNDELIVERED)
    with connections.database.begin() as connection:
        lost = take_back_lost(connection, connections.settings.max_attempts)
    taken_back.tell(lost, taken_back.WORKER_LOST)
    return len(undelivered) + len(lost)


def let_in(connections: Connections) -> int:
    """One batch from each job in turn, round after round, until every window is full or nothing waits.

    The turns go over tenants first, then over a tenant's jobs: a job of a million does not hold up a job of ten, nor a
    tenant with many jobs one with few. In each turn jobs that somebody waits for come before those in bulk.

    Raises BrokerUnavailable, before anything is let in whose message could not be sent.
    """
    settings = connections.settings
    with autocommitting(connections.database) as connection:
        jobs = open_jobs(connection, settings.window_images)
    if jobs:
        with asked():
            try_writing(connections.broker)
    admitted = 0
    deadline = monotonic() + ROUND_SECONDS
    while jobs and monotonic() < deadline:
        still_open = []
        for job in jobs:
            with structlog.contextvars.bound_contextvars(job=str(job.id)):
                batches = _admit_one(connections, job)
                send(connections.celery, batches, job.priority)
            let_in = sum(len(batch.image_ids) for batch in batches)
            metrics.LET_IN.inc(let_in)
            admitted += let_in
            if batches and job.room > 0:
                still_open.append(job)
        jobs = still_open
    return admitted


def _admit_one(connections: Connections, job: OpenJob) -> list[Batch]:
    """Let one batch of a job in, the furthest stage first: what is nearly done is finished before more is begun."""
    settings = connections.settings
    for stage in reversed(Stage):
        if not job.waiting.get(stage):
            continue
        if job.batches[stage] >= min(BATCH_IMAGES, settings.window_images) > job.room:
            return []  # A large job waits for room for a whole batch: a part of one would take a GPU as long.
        most = min(job.batches[stage], job.room)
        with connections.database.begin() as connection:
            batches = delivery.admit(connection, job.id, stage, most, settings.dispatch_lease_seconds)
        for batch in batches:
            about = {"stage": stage, "batch": str(batch.id), "images": list(batch.image_ids)}
            log.info("let_in", **about, attempt=batch.attempt)
        images = sum(len(batch.image_ids) for batch in batches)
        if images:
            job.room -= images
            job.waiting[stage] -= images
            return batches
        job.waiting[stage] = 0  # They all wait for their next attempt.
    return []


def open_jobs(connection: Connection, window: int) -> list[OpenJob]:
    """The running jobs with images at the door and room for them: each tenant's oldest, then each one's second, ...

    Jobs of each priority have their own turns, so that none waits until all of the other are done. They share the
    window, a batch at least for each: queues are served in their order, so a small job waits for what waits of a large
    one. Where more images are being worked at than `window`, as many may wait: each worker finds the next batch when it
    has done one.
    """
    rows = connection.execute(
        text("""
            with counted as (
                select jobs.id, jobs.tenant, jobs.priority, jobs.created_at,
                    greatest(least(:window, :batch),
                        greatest(:window, sum(sum(images) filter (where job_counts.state = 'running')) over lane)
                            / count(*) over lane)
                        - coalesce(sum(images) filter (where job_counts.state = 'dispatched'), 0) as room,
                    json_object_agg(stage, images) filter (where job_counts.state = 'ready' and images > 0) as waiting
                from jobs join job_counts on job_counts.job_id = jobs.id
                where jobs.state = 'running'
                group by jobs.id
                window lane as (partition by jobs.priority)
            )
            select id, priority, room, waiting from counted
            where room > 0 and waiting is not null
            order by row_number() over (partition by tenant, priority order by created_at),
                priority <> :first, created_at
            limit :limit
        """),
        {
            "window": window,
            "batch": BATCH_IMAGES,
            "first": Priority.INTERACTIVE,
            "limit": JOBS_A_ROUND,
        },
    )
    return [
        OpenJob(
            row.id,
            Priority(row.priority),
            int(row.room),
            {Stage(stage): images for stage, images in row.waiting.items()},
        )
        for row in rows
    ]


def finish(connections: Connections) -> None:
    """Close the jobs that have no unfinished image."""
    with autocommitting(connections.database) as connection:
        if not closing.any_done(connection):
            return
    with connections.database.begin() as connection:
        for job_id in closing.complete_jobs(connection):
            log.info("job_completed", job=str(job_id))
