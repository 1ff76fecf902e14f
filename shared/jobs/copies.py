"""Keeping those apart who copy rows of a job, and those who take rows away."""

from uuid import UUID

from sqlalchemy import Connection, text


def hold_copies(connection: Connection, job_id: UUID) -> None:
    """Until this transaction ends nobody else copies rows of this job, or of those that look at the same objects, and
    nobody takes rows away under a copy. For all who copy, delete or try again; before they lock any row.
    """
    query = """
        select pg_advisory_xact_lock(hashtextextended('rescore ' || coalesce(rescored_from, id), 0))
        from jobs where id = :job
    """
    connection.execute(text(query), {"job": job_id})
