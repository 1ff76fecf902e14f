"""Does a job of a million images leave small jobs their time, Redis its size and the API its pace? And what becomes of
ten times more than is allowed?

Everything of facemem is real, but the stages only sleep over each image: PostgreSQL, Redis, the API, the dispatcher and
a worker for each stage, each a process, on loopback. Jobs of 20 links arrive over some minutes, first alone, then
beside a job of a million; that one need not come to its end. Then clients with keys submit ten times what they may:
what was accepted has to come to its end. Last, what the processes had in hand at the beginning and at the end of the
time of the small jobs. Linux only.

python -m benchmarks.fairness [--quick] [--hour] [--json]
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from benchmarks.footprint import Footprint, watched
from benchmarks.measure import Row, arguments, tell
from benchmarks.overload import JOB_IMAGES, Answers, keys, limited_api, overload, submission, unfinished
from benchmarks.polling import poll
from benchmarks.scale import PATIENCE_SECONDS, System, system
from benchmarks.served import HOST, MIB
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.closing import cancel_job
from shared.jobs.states import FINAL, OPEN, Stage
from shared.memorability.catalogue import find

REDIS_BAR_MB, STATUS_BAR_MS, TIMES_BAR, PLUS_SECONDS = 100.0, 200.0, 2.0, 5.0
MB = 1_000_000
POLLERS, POLL_PAUSE = 4, 0.2
OVER_SECONDS = 20.0
# Over each image: a stage does 50 images a second, and the small jobs alone need somewhat less than half of that. The
# cores, which belong to all processes together, are to have little to do.
STAGE_SECONDS = 0.04


@dataclass(frozen=True)
class Size:
    """How much of everything: images of the large job, small jobs and the seconds that they arrive in, and clients."""

    large: int = 1_000_000
    small: int = 200
    seconds: float = 180.0
    clients: int = 8
    tenants: int = 4


FULL, QUICK = Size(), Size(20_000, 20, 18.0, 4, 2)
HOUR = Size(small=4_000, seconds=3600.0)


class Crowd:
    """Jobs that come to a running system."""

    def __init__(self, running: System) -> None:
        self._running = running
        self._database = running.connections.database

    def small_jobs(self, size: Size) -> list[float]:
        """Submit them through the API, evenly over the time. Returns the seconds from 202 to the end of each."""
        jobs: list[UUID] = []
        began = monotonic()
        with httpx.Client(timeout=60, trust_env=False) as client:
            for number in range(size.small):
                sleep(max(0.0, began + number * size.seconds / size.small - monotonic()))
                answer = client.post(f"{self._running.served.url}/v1/jobs", json=submission(JOB_IMAGES))
                answer.raise_for_status()
                jobs.append(UUID(answer.json()["id"]))
        while self._one("select count(*) from jobs where id = any(:jobs) and state = any(:open)", jobs=jobs):
            sleep(0.2)
        with self._database.connect() as connection:
            query = "select extract(epoch from finished_at - created_at)::float from jobs where id = any(:jobs)"
            return sorted(connection.execute(text(query), {"jobs": jobs}).scalars())

    def large_job(self, images: int) -> UUID:
        """Take a large job in."""
        job = uuid4()
        with self._database.begin() as connection:
            links = (
                NewImage(f"{number}.jpg", source_url=f"https://example.org/{number}.jpg") for number in range(images)
            )
            accept(connection, NewJob(job, "describer", find("compact").digest), links)
        return job

    def done(self, job: UUID) -> int:
        """How many images of a job have ended."""
        query = """
            select coalesce(sum(images), 0) from job_counts where job_id = any(:jobs) and state = any(:final)
        """
        return self._one(query, jobs=[job])

    def withdraw(self, job: UUID) -> None:
        """End a job."""
        with self._database.begin() as connection:
            cancel_job(connection, job)

    def _one(self, query: str, **values: object) -> int:
        states = {"open": [*map(str, OPEN)], "final": [*map(str, FINAL)]}
        named = {name: each for name, each in states.items() if f":{name}" in query}
        with self._database.connect() as connection:
            return int(connection.execute(text(query), {**values, **named}).scalar_one())


def start_workers(running: System) -> None:
    """One worker of each stage, which listens when this returns."""
    supervisor = running.served.supervisor
    for stage in Stage:
        argv = [sys.executable, "-m", "benchmarks.queue_stage", str(stage)]
        supervisor.start(running.process(str(stage), argv, STAGE_SECONDS=str(STAGE_SECONDS)))

    def ready() -> bool:
        return len(running.connections.celery.control.ping(timeout=1.0)) == len(Stage)

    supervisor.await_ready(str(Stage.INTAKE), ready, PATIENCE_SECONDS)


def beside_a_large_one(crowd: Crowd, running: System, size: Size) -> list[Row]:
    """Small jobs alone, then the same beside the large one, whose status is polled meanwhile."""
    alone = crowd.small_jobs(Size(size.large, min(size.small, FULL.small), min(size.seconds, FULL.seconds)))
    job = crowd.large_job(size.large)
    served = running.served
    with ThreadPoolExecutor(1) as beside, watched({}, served.environment["FACEMEM_BROKER_URL"]) as seen:
        path = f"/v1/jobs/{job}"
        polling = beside.submit(poll, HOST, served.port, path, POLLERS, size.seconds, POLL_PAUSE)
        together = crowd.small_jobs(size)
        polled = polling.result()
    rows = [small(size, alone, together, crowd.done(job))]
    crowd.withdraw(job)
    slow, peak = polled.percentile(0.99) * 1000, max(seen.redis) / MB
    what = f"{size.large:,} images"
    rows.append(
        only(f"status of the job of {what}, 99th percentile", slow, "ms", STATUS_BAR_MS, f"{len(polled.took)} polls")
    )
    rows.append(
        only(f"the most that Redis has beside a job of {what}", peak, "MB", REDIS_BAR_MB, f"{len(seen.redis)} looks")
    )
    return rows


def small(size: Size, alone: list[float], together: list[float], done: int) -> Row:
    """How long the small jobs took, both times, each in ascending order."""
    before, after = (times[int(0.95 * (len(times) - 1))] for times in (alone, together))
    return Row(
        "fairness",
        f"small jobs beside a job of {size.large:,} images, 95th percentile of the time until the end",
        f"alone, at most {TIMES_BAR:g} times plus {PLUS_SECONDS:g} s",
        f"{after:.2f} s",
        f"{before:.2f} s",
        after,
        median(together),
        together[-1],
        TIMES_BAR * before + PLUS_SECONDS,
        "s",
        True,
        f"{size.small} jobs of {JOB_IMAGES} in {size.seconds:.0f} s; {done:,} images of the large one ended meanwhile",
    )


def only(what: str, value: float, unit: str, bar: float | None, note: str) -> Row:
    """A row about one figure that is to be no more than the bar."""
    return Row("fairness", what, "a bar", f"{value:.3g} {unit}", "none", value, value, value, bar, unit, True, note)


def too_many(running: System, size: Size) -> list[Row]:
    """Ten times what is allowed: what was refused, and what became of the rest."""
    database = running.connections.database
    url = running.served.beside("limited-api", limited_api)
    answers = overload(url, keys(database, size.clients, size.tenants), OVER_SECONDS)
    return told(answers, unfinished(database, answers))


def told(answers: Answers, lost: int) -> list[Row]:
    """Rows about what clients were answered."""
    by_code = ", ".join(
        f"{times} x {status} {code}".rstrip() for (status, code), times in sorted(answers.statuses.items())
    )
    sent = answers.statuses.total()
    note = f"{sent} submissions of {JOB_IMAGES} images: {by_code}; {answers.untold} of the 429 without Retry-After"
    return [
        only(
            "accepted images that did not come to their end under ten times the load", float(lost), "images", 0.0, note
        ),
        only("answers 5xx under ten times the load", float(answers.broken), "answers", 0.0, f"of {sent}"),
    ]


def grown(seen: Footprint) -> list[Row]:
    """Memory and open files of each process: the most of the last third against the most of the first."""
    rows = []
    for name, values in sorted(seen.memory.items()):
        before, after = Footprint.growth(values)
        open_before, open_after = Footprint.growth(seen.handles[name])
        rows.append(
            Row(
                "fairness",
                f"{name}: memory at the end of the run",
                "its first third",
                f"{after / MIB:.0f} MiB",
                f"{before / MIB:.0f} MiB",
                after / before,
                after / before,
                after / before,
                note=f"Open files: {open_after} against {open_before}",
            )
        )
    return rows


def main() -> None:
    """Print what was found."""
    asked = arguments(__doc__, hour="small jobs arrive for an hour")
    size = QUICK if asked.quick else HOUR if asked.hour else FULL
    with TemporaryDirectory(prefix="f") as folder, system(Path(folder)) as running:
        start_workers(running)
        crowd = Crowd(running)
        crowd.small_jobs(Size(small=4, seconds=1.0))  # so that every process has its modules and its connections
        pids = running.served.supervisor.pids()
        with watched(pids, running.served.environment["FACEMEM_BROKER_URL"]) as seen:
            rows = beside_a_large_one(crowd, running, size)
        rows += too_many(running, size)
    tell([*rows, *grown(seen)], asked.json, ("celery", "redis", "psycopg", "granian"))


if __name__ == "__main__":
    main()
