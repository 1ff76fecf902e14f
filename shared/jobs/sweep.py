"""Taking back images whose lease ran out: the message was lost, or the worker."""

from sqlalchemy import Connection

from shared.jobs.delivery import record_attempts
from shared.jobs.moves import move
from shared.jobs.states import Priority, Stage


def take_back_undelivered(connection: Connection) -> int:
    """dispatched -> ready where the message did not arrive in time. No attempt is consumed."""
    return len(
        move(
            connection,
            """
            update images set state = 'ready', batch_id = null, lease_expires_at = null
            where id in (
                select id from images where state = 'dispatched' and lease_expires_at < now() for update skip locked)
            and state = 'dispatched'
            """,
        )
    )


def take_back_unrung(
    connection: Connection, stage: Stage, priority: Priority, waited: float, lease_seconds: float
) -> int:
    """dispatched -> ready at one stage where the message was sent more than `waited` seconds ago.

    For when it is known that no message waits in the stage's queue for that priority. `lease_seconds` is the lease they
    were sent with.
    """
    return len(
        move(
            connection,
            """
            update images set state = 'ready', batch_id = null, lease_expires_at = null
            where id in (
                select id from images
                where state = 'dispatched' and stage = :stage
                and lease_expires_at < now() + make_interval(secs => :left)
                and exists (select from jobs where id = images.job_id and priority = :priority)
                for update skip locked)
            and state = 'dispatched'
            """,
            stage=stage,
            priority=priority,
            left=lease_seconds - waited,
        )
    )


def take_back_lost(connection: Connection, max_attempts: int) -> int:
    """running -> ready, or failed (`worker_lost`) after the last attempt, where the worker went silent."""
    lost = move(
        connection,
        """
        update images set state = case when attempt >= :max then 'failed' else 'ready' end,
            reason = case when attempt >= :max then 'worker_lost' end,
            detail = case when attempt >= :max then 'Its worker was lost at the last attempt that it had.' end,
            finished_at = case when attempt >= :max then now() end,
            batch_id = null, lease_token = null, lease_expires_at = null
        where id in (
            select id from images where state = 'running' and lease_expires_at < now() for update skip locked)
        and state = 'running'
        """,
        columns="new.attempt",
        max=max_attempts,
    )
    record_attempts(
        connection,
        ((row.id, row.stage, row.attempt, "worker_lost", "The worker was not heard of in time.") for row in lost),
    )
    return len(lost)
