"""Submissions whose files are on their way into storage: what is left of one that never became a job can be found.

A row is there before the first object is. It goes in the transaction that accepts the job; one that nobody has renewed
for hours is of an API that died, and the dispatcher removes its objects.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

# So long may a client need for one file. The API says at every file that it is still there, but not more often than
# RENEW_SECONDS.
ABANDONED_SECONDS = 6 * 3600
RENEW_SECONDS = 60


def renew(connection: Connection, job_id: UUID, tenant: str) -> None:
    """Something of this submission of a tenant arrives, or soon will."""
    connection.execute(
        text("""
            insert into arrivals (job_id, tenant) values (:job, :tenant)
            on conflict (job_id) do update set seen_at = now() where arrivals.seen_at is not null
        """),
        {"job": job_id, "tenant": tenant},
    )


def accepted(connection: Connection, job_id: UUID) -> bool:
    """The submission becomes a job. False if it was given up meanwhile: its files may be gone."""
    query = "delete from arrivals where job_id = :job and seen_at is not null"
    return connection.execute(text(query), {"job": job_id}).rowcount == 1


def forget(connection: Connection, job_id: UUID) -> None:
    """The submission was refused, and its objects are gone."""
    connection.execute(text("delete from arrivals where job_id = :job"), {"job": job_id})


def give_up(connection: Connection, most: int) -> Sequence[UUID]:
    """Some submissions of which nothing is to be expected any more. Once that is committed, they are never accepted."""
    return (
        connection.execute(
            text("""
                update arrivals set seen_at = null where job_id in (
                    select job_id from arrivals
                    where seen_at is null or seen_at < now() - make_interval(secs => :seconds)
                    limit :most for update skip locked)
                returning job_id
            """),
            {"seconds": ABANDONED_SECONDS, "most": most},
        )
        .scalars()
        .all()
    )


def removed(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """The objects of these that were given up are gone."""
    query = "delete from arrivals where job_id = any(:jobs) and seen_at is null"
    connection.execute(text(query), {"jobs": list(job_ids)})
