"""One round of the dispatcher: take back what was lost, let work in fairly, close what is finished."""

from dataclasses import dataclass
from itertools import chain, zip_longest
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from shared.jobs import closing, delivery
from shared.jobs.delivery import Batch
from shared.jobs.states import IN_FLIGHT, ImageState, Stage
from shared.jobs.sweep import take_back_lost, take_back_undelivered
from shared.pipeline.connections import Connections
from shared.pipeline.dispatch import send
from workers.dispatcher.tidy import tidy

log = structlog.get_logger()

# Jobs looked at in one round. More than that many wait for a later one; they are taken oldest first.
JOBS_A_ROUND = 500


@dataclass
class OpenJob:
    """A job with images at the door: how many may still come in, and how many wait at which stage."""

    id: UUID
    tenant: str
    room: int
    waiting: dict[Stage, int]


def tick(connections: Connections) -> int:
    """One round. Returns how many images were let in: while that is not 0 there may be more to do at once."""
    sweep(connections)
    admitted = let_in(connections)
    finish(connections)
    tidy(connections)
    return admitted


def sweep(connections: Connections) -> None:
    """Take back images whose message or worker was lost."""
    with connections.database.begin() as connection:
        undelivered = take_back_undelivered(connection)
        lost = take_back_lost(connection, connections.settings.max_attempts)
    if undelivered or lost:
        log.warning("taken_back", undelivered=undelivered, worker_lost=lost)


def let_in(connections: Connections) -> int:
    """One batch from each job in turn, round after round, until every window is full or nothing waits.

    The turns go over tenants first, then over a tenant's jobs: a job of a million does not hold up a job of ten, nor a
    tenant with many jobs one with few.
    """
    settings = connections.settings
    with connections.database.begin() as connection:
        jobs = in_turn(open_jobs(connection, settings.window_per_job))
    admitted = 0
    while jobs:
        still_open = []
        for job in jobs:
            batches = _admit_one(connections, job)
            send(connections.celery, batches)
            admitted += sum(len(batch.image_ids) for batch in batches)
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
        with connections.database.begin() as connection:
            batches = delivery.admit(
                connection, job.id, stage, min(settings.batch_images, job.room), settings.dispatch_lease_seconds
            )
        images = sum(len(batch.image_ids) for batch in batches)
        if images:
            job.room -= images
            job.waiting[stage] -= images
            return batches
        job.waiting[stage] = 0  # They all wait for their next attempt.
    return []


def open_jobs(connection: Connection, window: int) -> list[OpenJob]:
    """The running jobs that have images at the door and room for them, oldest first."""
    rows = connection.execute(
        text("""
            select jobs.id, jobs.tenant, job_counts.stage, job_counts.state, job_counts.images
            from (select id, tenant, created_at from jobs
                  where state = 'running' and exists (
                      select from job_counts where job_id = jobs.id and state = 'ready' and images > 0)
                  order by created_at limit :limit) as jobs
            join job_counts on job_counts.job_id = jobs.id
            where job_counts.images > 0
            order by jobs.created_at
        """),
        {"limit": JOBS_A_ROUND},
    )
    jobs: dict[UUID, OpenJob] = {}
    for row in rows:
        job = jobs.setdefault(row.id, OpenJob(row.id, row.tenant, window, {}))
        if row.state == ImageState.READY:
            job.waiting[Stage(row.stage)] = row.images
        elif row.state in IN_FLIGHT:
            job.room -= row.images
    return [job for job in jobs.values() if job.room > 0]


def in_turn(jobs: list[OpenJob]) -> list[OpenJob]:
    """The jobs, one tenant's after another's in turn."""
    by_tenant: dict[str, list[OpenJob]] = {}
    for job in jobs:
        by_tenant.setdefault(job.tenant, []).append(job)
    return [job for job in chain.from_iterable(zip_longest(*by_tenant.values())) if job is not None]


def finish(connections: Connections) -> None:
    """Close the jobs that have no unfinished image."""
    with connections.database.begin() as connection:
        for job_id in closing.complete_jobs(connection):
            log.info("job_completed", job=str(job_id))
