"""Taking back images whose lease ran out: the message was lost, or the worker. Each returns those that it took back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from shared.jobs.delivery import record_attempts
from shared.jobs.moves import move, move_all
from shared.jobs.states import Priority, Stage


def any_expired(connection: Connection) -> bool:
    """Whether there is a lease that ran out, so that there may be something to take back."""
    query = """
        select exists (select from images where state in ('dispatched', 'running') and lease_expires_at < now())
    """
    return bool(connection.execute(text(query)).scalar_one())


def take_back_undelivered(connection: Connection) -> Sequence[Row[Any]]:
    """dispatched -> ready where the message did not arrive in time. No attempt is consumed."""
    return move(
        connection,
        """
            update images set state = 'ready', batch_id = null, lease_expires_at = null
            where id in (
                select id from images where state = 'dispatched' and lease_expires_at < now() for update skip locked)
            and state = 'dispatched'
            """,
        columns="old.batch_id, new.attempt",
    )


def take_back_unrung(
    connection: Connection, stage: Stage, priority: Priority, waited: float, lease_seconds: float
) -> Sequence[Row[Any]]:
    """dispatched -> ready at one stage where the message was sent more than `waited` seconds ago.

    For when it is known that no message waits in the stage's queue for that priority. `lease_seconds` is the lease they
    were sent with.
    """
    return move(
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
        columns="old.batch_id, new.attempt",
        stage=stage,
        priority=priority,
        left=lease_seconds - waited,
    )


def take_back_lost(connection: Connection, max_attempts: int) -> Sequence[Row[Any]]:
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
        columns="old.batch_id, new.attempt",
        max=max_attempts,
    )
    record_attempts(
        connection,
        ((row.id, row.stage, row.attempt, "worker_lost", "The worker was not heard of in time.") for row in lost),
    )
    return lost


def take_back_all(connection: Connection) -> int:
    """dispatched, running -> ready, whatever their leases say, and no attempt is consumed: for a database that was
    restored, on which nobody is at work.
    """
    return move_all(
        connection,
        """
        update images set state = 'ready', attempt = attempt - case when state = 'running' then 1 else 0 end,
            batch_id = null, lease_token = null, lease_expires_at = null
        where state in ('dispatched', 'running')
        """,
    )
