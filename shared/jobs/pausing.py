"""Holding a job up, and letting it go on."""

from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.moves import move_all
from shared.jobs.wake import wake


def pause_job(connection: Connection, job_id: UUID) -> bool:
    """running -> paused. Images whose message no worker has taken yet go back to the door; what is in work is finished
    at its stage and waits at the next one. Returns False if the job was not running.
    """
    # Admissions in progress are waited for, and later ones see that it is paused.
    connection.execute(text("select from jobs where id = :job for no key update"), {"job": job_id})
    paused = connection.execute(
        text("update jobs set state = 'paused' where id = :job and state = 'running'"), {"job": job_id}
    ).rowcount
    if paused:
        # What a worker is just claiming is as good as in its hands, and not waited for.
        move_all(
            connection,
            """
            update images set state = 'ready', batch_id = null, lease_expires_at = null
            where id in (
                select id from images
                where job_id = :job and state = 'dispatched' and lease_expires_at is not null
                for update skip locked)
            and state = 'dispatched'
            """,
            job=job_id,
        )
    return bool(paused)


def resume_job(connection: Connection, job_id: UUID) -> bool:
    """paused -> running. Returns False if the job was not paused."""
    resumed = connection.execute(
        text("update jobs set state = 'running' where id = :job and state = 'paused'"), {"job": job_id}
    ).rowcount
    wake(connection)
    return bool(resumed)
