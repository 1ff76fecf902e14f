"""`python -m workers.health STAGE`, or `dispatcher`: exits 0 if that work goes on, 1 and says why if it stands still.
`python -m workers.health heartbeat` asks whether the process beside it is frozen, and nobody else: no part that is away
makes a difference, so it is the one by which to restart.

For container health checks. A worker that answers a ping may still take no messages, so nobody is pinged: Postgres is
asked whether work waits that nobody does. A pause between two batches looks the same for a moment; let a check fail
twice in a row before you believe it. Where the process keeps a file for its heartbeat, it must have beaten lately, too:
so one of several that is frozen is found.
"""

import argparse
import sys
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from shared.database.session import connect
from shared.jobs.health import dispatcher_problem, stage_problem
from shared.jobs.states import Stage
from shared.settings import Settings, settings

SILENT_SECONDS = 60.0


def main() -> None:
    """Check what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description="Whether a kind of work goes on.")
    parser.add_argument("work", choices=[*Stage, "dispatcher", "heartbeat"])
    work = parser.parse_args().work
    configured = settings()
    problem = heartbeat_problem(configured.heartbeat_file)
    if work != "heartbeat":
        problem = problem or _work_problem(work, configured)
    if problem:
        sys.exit(problem)


def heartbeat_problem(file: Path | None) -> str | None:
    """What is wrong with the heartbeat, or None. One that has never beaten starts, or has ended and said so."""
    if file is None:
        return None
    try:
        silent = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return None
    return f"the process has not been heard of for {silent:.0f} s" if silent > SILENT_SECONDS else None


def _work_problem(work: str, configured: Settings) -> str | None:
    try:
        with connect(configured.database_url.get_secret_value()).connect() as connection:
            if work == "dispatcher":
                return dispatcher_problem(connection)
            return stage_problem(connection, Stage(work), configured)
    except SQLAlchemyError as error:
        return f"the database does not answer: {error}"


if __name__ == "__main__":
    main()
