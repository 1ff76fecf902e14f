"""Jobs that had to be done by a certain time, and are not."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.moves import move
from shared.jobs.states import FINAL


def late_jobs(connection: Connection, limit: int) -> Sequence[UUID]:
    """Some jobs whose deadline has passed before they ended."""
    query = "select id from jobs where deadline <= now() and finished_at is null order by deadline limit :limit"
    return connection.execute(text(query), {"limit": limit}).scalars().all()


def fail_late(connection: Connection, job_id: UUID) -> dict[str, int]:
    """Fail what is unfinished of a job whose deadline has passed (`deadline_passed`). Returns how many images at which
    stage that are.

    Workers that hold some are fenced from then on; what is finished keeps its results.
    """
    # Again, and under lock: a retry takes a deadline that has passed away.
    query = "select from jobs where id = :job and deadline <= now() and finished_at is null for no key update"
    if connection.execute(text(query), {"job": job_id}).one_or_none() is None:
        return {}
    moved = move(
        connection,
        """
        update images set state = 'failed', reason = 'deadline_passed',
            detail = 'It was not finished by the deadline of its job.', finished_at = now(),
            batch_id = null, lease_token = null, lease_expires_at = null
        where id in (
            select id from images where job_id = :job and state <> all(:final) order by id for update)
        and state <> all(:final)
        """,
        columns="new.attempt, new.detail",
        also=_CUT_SHORT,
        told=_BY_STAGE,
        job=job_id,
        final=[str(state) for state in FINAL],
    )
    late: Counter[str] = Counter()
    for row in moved:
        late[row.stage] += row.images
    return late


# What a worker had in hand was an attempt. Its record outlives a retry, as it must: the worker may still write objects
# (`in_hand`).
_CUT_SHORT = """, cut_short as (
    insert into attempts (image_id, stage, attempt, reason, detail)
    select id, stage, attempt, 'deadline_passed', detail from moved where from_state = 'running' order by id
)"""

# Their numbers: not a million rows.
_BY_STAGE = "select stage, from_state, state, count(*) as images from moved group by stage, from_state, state"
