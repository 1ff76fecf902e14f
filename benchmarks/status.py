"""Polls of a job of a million images while it moves: its counters against counting its images, and requests a second of
the API as it is shipped (granian) against the same application behind gunicorn's sync workers.

The images are moved by the functions that the dispatcher and the workers move them by, some hundred a second. Both
servers have as many processes as facemem ships with, and stand on the same database.

python -m benchmarks.status [--quick] [--json]
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from benchmarks.measure import Ratio, Row, arguments, side_by_side, tell
from benchmarks.polling import Polled, poll
from benchmarks.served import HOST, Served, served
from services.api.factory import create_app
from services.api.parts import parts
from services.api.status import job_status
from services.api.status_rows import COUNTS
from shared.database.session import connect
from shared.jobs.delivery import Verdict, admit, claim, conclude
from shared.jobs.states import ImageState, Stage
from shared.memorability.catalogue import find
from shared.settings import Settings

COUNTERS_BAR, SERVER_BAR, SLOWEST_BAR_MS = 500.0, 1.5, 10.0
IMAGES, QUICK_IMAGES = 1_000_000, 100_000
PAIRS, QUICK_PAIRS = 5, 2
SECONDS, QUICK_SECONDS = 8.0, 3.0
READS = 200  # of the counters, timed together: one of them is shorter than what a clock and a loop cost
CLIENTS = 16
PAUSE_SECONDS = 0.2
MOVES_A_SECOND, MOVED_AT_ONCE = 10, 10
MOVED = MOVES_A_SECOND * MOVED_AT_ONCE
LEASE_SECONDS = 3600.0

JOB = "insert into jobs (id, name, captioner, bundle) values (:job, 'benchmark', 'describer', :bundle)"
# Three of five images are through, one of fifty was skipped and one of a hundred failed; the others wait.
FILL = """
insert into images (job_id, position, name, original_key, stage, state, reason, finished_at)
select :job, n, n || '.jpg', 'originals/' || n, stage, state,
    case state when 'skipped' then 'no_face' when 'failed' then 'image_damaged' end,
    case when state <> 'ready' then now() end
from generate_series(0, cast(:images as int) - 1) as n, lateral (
    select case when n % 100 < 60 then 'scoring' else 'detection' end as stage,
        case when n % 100 < 60 then 'succeeded' when n % 100 < 62 then 'skipped' when n % 100 < 63 then 'failed'
            else 'ready' end as state) as place
"""
COUNT = """
insert into job_counts (job_id, stage, state, images)
select job_id, stage, state, count(*) from images where job_id = :job group by job_id, stage, state
"""
GROUPED = "select stage, state, count(*) as images from images where job_id = :job group by stage, state"
INDEX = "create index benchmark_states on images (job_id, stage, state)"


@dataclass
class Job:
    """The job that is watched, in the database of the running system."""

    system: Served
    database: Engine
    id: UUID = field(default_factory=uuid4)

    def fill(self, images: int) -> None:
        """Put it there, with its images and their counters."""
        known = {"job": self.id, "bundle": find("compact").digest, "images": images}
        with self.database.begin() as connection:
            for statement in (JOB, FILL, COUNT):
                connection.execute(text(statement), known)
        self.tidy()

    def tidy(self) -> None:
        """Leave the tables as autovacuum would in time, so that it does not come in the middle of a measurement."""
        with self.database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("vacuum analyze"))

    @contextmanager
    def moving(self) -> Iterator[None]:
        """As long as the block lasts, some of its images go through a stage to their end, batch by batch."""
        over = Event()
        failed: list[Exception] = []

        def move() -> None:
            while not over.wait(1 / MOVES_A_SECOND):
                try:
                    self._move_some()
                except Exception as error:  # told when the block ends
                    failed.append(error)
                    return

        thread = Thread(target=move)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if failed:
            raise failed[0]

    def _move_some(self) -> None:
        """As a dispatcher and a worker would: three transactions."""
        token = uuid4()
        with self.database.begin() as connection:
            [batch] = admit(connection, self.id, Stage.DETECTION, MOVED_AT_ONCE, LEASE_SECONDS)
        with self.database.begin() as connection:
            claimed = claim(connection, batch, token, LEASE_SECONDS)
        with self.database.begin() as connection:
            ended = [Verdict(image.id, Stage.DETECTION, ImageState.SKIPPED, "no_face") for image in claimed]
            conclude(connection, token, ended, LEASE_SECONDS)


def main() -> None:
    """Print what both ways of counting, and both ways of serving, do."""
    asked = arguments(__doc__)
    images, pairs, seconds = (QUICK_IMAGES, QUICK_PAIRS, QUICK_SECONDS) if asked.quick else (IMAGES, PAIRS, SECONDS)
    with TemporaryDirectory() as folder, served(Path(folder)) as system:
        database = connect(system.database)
        job = Job(system, database)
        job.fill(images)
        rows = [*counting(job, images, pairs), *serving(job, images, pairs, seconds)]
        database.dispose()
    tell(rows, asked.json, ("granian", "gunicorn", "flask", "sqlalchemy", "psycopg"))


def counting(job: Job, images: int, pairs: int) -> list[Row]:
    """The counters against the images themselves. The owner of the tables counts those: no policy slows that down."""
    what = f"the counts of a job of {images:,} images"
    grouped = "GROUP BY over its images"
    bar = COUNTERS_BAR if images >= IMAGES else None  # fewer images are sooner counted
    with in_process(job) as (read, whole, count):
        plain = side_by_side(read, count, pairs)
        entire = side_by_side(whole, count, pairs)
    with indexed(job), in_process(job) as (read, _, count):
        fast = side_by_side(read, count, pairs)
    return [
        compared(what, grouped, plain, READS, bar, "Both before anything moves, which suits GROUP BY."),
        compared(what, f"{grouped} with an index for it", fast, READS, None, "The index is not among facemem's."),
        compared(f"the whole status of a job of {images:,} images", grouped, entire, 1, None),
    ]


@contextmanager
def in_process(job: Job) -> Iterator[tuple[Callable[[], object], Callable[[], object], Callable[[], object]]]:
    """Three things to do: read the counters READS times, make a whole status, and count the images."""
    app = create_app(
        Settings(
            database_url=SecretStr(job.system.database),
            broker_url=SecretStr(job.system.environment["FACEMEM_BROKER_URL"]),
            storage_url=job.system.environment["FACEMEM_STORAGE_URL"],
        )
    )
    with app.test_request_context(), parts().session() as session, job.database.connect() as owner:
        read, count = counters(session, job.id), counted(owner, job.id)
        if dict(read()) != dict(count()):
            raise RuntimeError("the counters differ from the images")
        yield (lambda: [read() for _ in range(READS)]), (lambda: job_status(session, job.id)), count
        pool = parts().database
    pool.dispose()


def counters(session: Session, job: UUID) -> Callable[[], list[tuple[Any, ...]]]:
    """The part of a status's query that reads the counters, by itself, as the same tenant."""
    connection = session.connection()
    query, values = f"select there.* from jobs, lateral ({COUNTS}) as there where jobs.id = %(job)s", {"job": job}  # noqa: S608
    return lambda: [((row.stage, row.state), row.images) for row in connection.exec_driver_sql(query, values)]


def counted(connection: Connection, job: UUID) -> Callable[[], list[tuple[Any, ...]]]:
    """The same, counted."""
    query, values = text(GROUPED), {"job": job}
    return lambda: [((row.stage, row.state), row.images) for row in connection.execute(query, values)]


@contextmanager
def indexed(job: Job) -> Iterator[None]:
    """As long as the block lasts, there is an index by which images can be counted without being read."""
    with job.database.begin() as connection:
        connection.execute(text(INDEX))
    job.tidy()
    yield
    with job.database.begin() as connection:
        connection.execute(text("set local lock_timeout = '10s'"))
        connection.execute(text("drop index benchmark_states"))


def compared(what: str, against: str, took: Ratio, reads: int, bar: float | None, note: str = "") -> Row:
    """A row of a comparison in which our side did it `reads` times."""
    ours, peer = f"{took.ours_seconds / reads * 1000:.3g} ms", f"{took.peer_seconds * 1000:.3g} ms"
    found = (took.ratio * reads, took.low * reads, took.high * reads)
    return Row("status", what, against, ours, peer, *found, bar, note=note)


def serving(job: Job, images: int, pairs: int, seconds: float) -> list[Row]:
    """Both servers, asked by turns while the job moves: as often as they answer, and then with pauses."""
    path = f"/v1/jobs/{job.id}"
    ports = {"ours": job.system.port, "peer": urlsplit(job.system.beside("gunicorn", gunicorn)).port or 0}
    loads = {0.0: pairs, PAUSE_SECONDS: pairs}
    polled: dict[tuple[float, str], list[Polled]] = {(pause, side): [] for pause in loads for side in ports}
    for pause, times in loads.items():
        for pair in range(times):
            for side in ("ours", "peer") if pair % 2 else ("peer", "ours"):
                with job.moving():
                    found = poll(HOST, ports[side], path, CLIENTS, seconds, pause)
                polled[pause, side].append(found)
    what = f"polls of a job of {images:,} images that moves"
    return [
        rates(what, polled[0.0, "ours"], polled[0.0, "peer"]),
        slowest(what, polled[PAUSE_SECONDS, "ours"], polled[PAUSE_SECONDS, "peer"]),
    ]


def gunicorn(port: int) -> list[str]:
    """The same application behind sync workers, as many as facemem's API has processes, set up as its pages advise."""
    processes = str(Settings.model_fields["api_processes"].default)
    options = ["--workers", processes, "--worker-class", "sync", "--no-control-socket"]
    options += ["--worker-tmp-dir", "/dev/shm"]  # noqa: S108 - a heartbeat file that must not wait for a disk
    application = "services.api.factory:from_environment()"
    return [sys.executable, "-m", "gunicorn", application, "--bind", f"{HOST}:{port}", *options]


def rates(what: str, ours: list[Polled], peer: list[Polled]) -> Row:
    """Answers a second of clients that ask again at once."""
    ratios = [mine.rate / other.rate for mine, other in zip(ours, peer, strict=True)]
    return Row(
        "status",
        f"{what}, answers a second",
        "gunicorn's sync workers",
        f"{median(each.rate for each in ours):.0f} a second",
        f"{median(each.rate for each in peer):.0f}",
        median(ratios),
        min(ratios),
        max(ratios),
        SERVER_BAR,
        note=f"{CLIENTS} clients without pauses, one process each; {MOVED} images move a second.",
    )


def slowest(what: str, ours: list[Polled], peer: list[Polled]) -> Row:
    """What one answer in a hundred takes at least, with clients that pause."""
    mine, other = ([each.percentile(0.99) * 1000 for each in side] for side in (ours, peer))
    usual, rate = median(each.percentile(0.5) for each in ours) * 1000, median(each.rate for each in ours)
    return Row(
        "status",
        f"{what}, 99th percentile of the time until an answer",
        "gunicorn's sync workers",
        f"{median(mine):.3g} ms",
        f"{median(other):.3g} ms",
        median(mine),
        min(mine),
        max(mine),
        SLOWEST_BAR_MS,
        "ms",
        True,
        f"{CLIENTS} clients with pauses of {PAUSE_SECONDS:g} s, {rate:.0f} answers a second, {MOVED} images move a "
        f"second; half of the answers came within {usual:.3g} ms.",
    )


if __name__ == "__main__":
    main()
