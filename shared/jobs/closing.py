"""The end of a job: completed or cancelled."""

from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.moves import move
from shared.jobs.states import FINAL, JobState


def complete_jobs(connection: Connection) -> list[UUID]:
    """running -> completed for every job without an unfinished image. Returns the jobs that this call completed."""
    return list(
        connection.execute(
            text("""
                update jobs set state = 'completed', finished_at = now()
                where state = 'running' and not exists (
                    select from job_counts
                    where job_id = jobs.id and images > 0 and state <> all(:final))
                returning id
            """),
            {"final": [str(state) for state in FINAL]},
        ).scalars()
    )


def cancel_job(connection: Connection, job_id: UUID) -> bool:
    """running -> cancelled, its unfinished images with it. Workers that hold some are fenced from then on.

    Returns False if the job was not running any more.
    """
    cancelled = connection.execute(
        text("update jobs set state = :cancelled, finished_at = now() where id = :job and state = 'running'"),
        {"job": job_id, "cancelled": JobState.CANCELLED},
    ).rowcount
    if cancelled:
        move(
            connection,
            """
            update images set state = 'cancelled', finished_at = now(),
                batch_id = null, lease_token = null, lease_expires_at = null
            where job_id = :job and state <> all(:final)
            """,
            job=job_id,
            final=[str(state) for state in FINAL],
        )
    return bool(cancelled)
