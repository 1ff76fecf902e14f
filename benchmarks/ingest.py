"""Lines of a manifest to committed rows, as a submission writes them, against the ORM's add_all of the same rows.

Both write a job with its images on the same real PostgreSQL and commit; ours also counts them and settles the job.

python -m benchmarks.ingest [--quick] [--json]
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from benchmarks.measure import Row, arguments, side_by_side, tell
from services.local.postgres import Postgres, socket_folder
from services.local.supervisor import Supervisor
from shared.database.migrate import upgrade
from shared.database.session import connect
from shared.database.tables import Image, Job
from shared.jobs.accept import NewImage, NewJob, accept

BAR = 15.0
LINES, QUICK_LINES = 50_000, 5_000
PAIRS = 5
DIGEST = "0" * 64


def main() -> None:
    """Print how long both take."""
    asked = arguments(__doc__)
    lines, pairs = (QUICK_LINES, 2) if asked.quick else (LINES, PAIRS)
    with TemporaryDirectory() as folder, Supervisor() as supervisor:
        sockets = socket_folder(Path(folder) / "sockets")
        url = Postgres(Path(folder) / "postgres", sockets, Path(folder) / "postgres.log").start(supervisor)
        upgrade(url)
        database = connect(url)
        took = side_by_side(lambda: copied(database, lines), lambda: added(database, lines), pairs)
        database.dispose()
    row = Row(
        "ingest",
        f"a manifest of {lines:,} lines to rows",
        "ORM add_all",
        f"{lines / took.ours_seconds:,.0f} rows a second",
        f"{lines / took.peer_seconds:,.0f}",
        took.ratio,
        took.low,
        took.high,
        BAR,
    )
    tell([row], asked.json, ("sqlalchemy", "psycopg"))


def copied(database: Engine, lines: int) -> None:
    """As a submission is taken in."""
    images = (NewImage(f"{n}.jpg", source_url=f"https://example.org/{n}.jpg", custom_id=str(n)) for n in range(lines))
    with database.begin() as connection:
        accept(connection, NewJob(uuid4(), "describer", DIGEST), images)


def added(database: Engine, lines: int) -> None:
    """As one would write it first."""
    job = uuid4()
    with Session(database) as session, session.begin():
        session.execute(insert(Job).values(id=job, captioner="describer", bundle=DIGEST))
        session.add_all(
            Image(
                job_id=job,
                position=n,
                name=f"{n}.jpg",
                source_url=f"https://example.org/{n}.jpg",
                custom_id=str(n),
                stage="intake",
            )
            for n in range(lines)
        )


if __name__ == "__main__":
    main()
