"""`python -m workers.health STAGE`, or `dispatcher`: exits 0 if that work goes on, 1 and says why if it stands still.

For container health checks. A worker that answers a ping may still take no messages, so nobody is pinged: Postgres is
asked whether work waits that nobody does. A pause between two batches looks the same for a moment; let a check fail
twice in a row before you believe it.
"""

import argparse
import sys

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from shared.database.session import connect
from shared.jobs.states import Stage
from shared.settings import Settings, settings

# Far longer than a message or a tick takes; far shorter than the lease of a message (`dispatch_lease_seconds`).
PATIENCE_SECONDS = 20

_UNTAKEN = text("""
    select count(*) from images
    where stage = :stage and state = 'dispatched' and lease_expires_at < now() + make_interval(secs => :left)
    and not exists (select from images where stage = :stage and state = 'running' and lease_expires_at > now())
""")
_NOT_TAKEN_BACK = text("""
    select count(*) from images
    where state in ('dispatched', 'running') and lease_expires_at < now() - make_interval(secs => :patience)
""")
_NOT_LET_IN = text("""
    select count(*) from jobs
    where state = 'running' and created_at < now() - make_interval(secs => :patience)
    and not exists (
        select from job_counts where job_id = jobs.id and state in ('dispatched', 'running') and images > 0)
    and exists (
        select from images where job_id = jobs.id and state = 'ready'
        and (not_before is null or not_before < now() - make_interval(secs => :patience)))
""")


def stage_problem(connection: Connection, stage: Stage, configured: Settings) -> str | None:
    """What is wrong with a stage, or None: messages have waited for a while, and no worker is at work on any."""
    left = configured.dispatch_lease_seconds - PATIENCE_SECONDS
    untaken = connection.scalar(_UNTAKEN, {"stage": stage, "left": left})
    return f"{untaken} images wait for {stage} and no worker is at work" if untaken else None


def dispatcher_problem(connection: Connection) -> str | None:
    """What is wrong with the dispatcher, or None: lost images are not taken back, or a job waits and has nothing in."""
    overdue = connection.scalar(_NOT_TAKEN_BACK, {"patience": PATIENCE_SECONDS})
    if overdue:
        return f"{overdue} images are lost and were not taken back"
    waiting = connection.scalar(_NOT_LET_IN, {"patience": PATIENCE_SECONDS})
    return f"{waiting} jobs wait to be let in" if waiting else None


def main() -> None:
    """Check what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description="Whether a kind of work goes on.")
    parser.add_argument("work", choices=[*Stage, "dispatcher"])
    work = parser.parse_args().work
    configured = settings()
    try:
        with connect(configured.database_url.get_secret_value()).connect() as connection:
            if work == "dispatcher":
                problem = dispatcher_problem(connection)
            else:
                problem = stage_problem(connection, Stage(work), configured)
    except SQLAlchemyError as error:
        problem = f"the database does not answer: {error}"
    if problem:
        sys.exit(problem)


if __name__ == "__main__":
    main()
