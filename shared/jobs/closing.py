"""The end of a job: completed or cancelled. From then on its time of retention runs."""

from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.events import EventType, emit
from shared.jobs.moves import move_all
from shared.jobs.states import FINAL, OPEN, JobState

_FINAL = [str(state) for state in FINAL]
_OPEN = [str(state) for state in OPEN]
# Constants of this module, put into statements.
_DONE = """
state = any(:open) and not exists (
    select from job_counts where job_id = jobs.id and images > 0 and state <> all(:final))
"""
_END = "finished_at = now(), expires_at = now() + make_interval(secs => retention_seconds)"


def any_open(connection: Connection) -> bool:
    """Whether a job is running or paused."""
    query = "select exists (select from jobs where state = any(:open))"
    return bool(connection.execute(text(query), {"open": _OPEN}).scalar_one())


def any_done(connection: Connection) -> bool:
    """Whether a job has no unfinished image any more, so that `complete_jobs` has something to do."""
    query = f"select exists (select from jobs where {_DONE})"  # noqa: S608
    return bool(connection.execute(text(query), {"open": _OPEN, "final": _FINAL}).scalar_one())


def complete_jobs(connection: Connection) -> list[UUID]:
    """running, paused -> completed for every job without an unfinished image. Returns those it completed."""
    values = {"open": _OPEN, "final": _FINAL}
    # Locked first, and looked at again by a statement of its own: a retry may just have opened one of them again. Those
    # that somebody else is at are left for the next time.
    locked = connection.execute(
        text(f"select id from jobs where {_DONE} order by id for no key update skip locked"),  # noqa: S608
        values,
    )
    done: list[UUID] = list(locked.scalars())
    if not done:
        return []
    completed = connection.execute(
        text(f"""
            update jobs set state = 'completed', {_END} where id = any(:ids) and {_DONE} returning id, tenant
        """),  # noqa: S608
        {**values, "ids": done},
    ).all()
    for job in completed:
        emit(connection, job.tenant, EventType.COMPLETED, job.id)
    return [job.id for job in completed]


def cancel_job(connection: Connection, job_id: UUID) -> bool:
    """running, paused -> cancelled, its unfinished images with it. Workers that hold some are fenced from then on.

    Returns False if the job had ended already.
    """
    tenant = connection.execute(
        text(f"update jobs set state = :cancelled, {_END} where id = :job and state = any(:open) returning tenant"),  # noqa: S608
        {"job": job_id, "cancelled": JobState.CANCELLED, "open": _OPEN},
    ).scalar()
    if tenant is not None:
        move_all(
            connection,
            """
            update images set state = 'cancelled', finished_at = now(),
                batch_id = null, lease_token = null, lease_expires_at = null
            where id in (
                select id from images where job_id = :job and state <> all(:final) order by id for update)
            and state <> all(:final)
            """,
            job=job_id,
            final=_FINAL,
        )
        emit(connection, tenant, EventType.CANCELLED, job_id)
    return tenant is not None
