"""Does throughput grow linearly with workers? Captions by a model server that takes 1 s for each, and GPU stages.

Everything of facemem is real: PostgreSQL, Redis, the dispatcher, one Celery process for each worker, on loopback. Only
what would compute elsewhere is not: the model server is `slow_ollama`, a GPU worker is `scale_stage`, which takes 0.5 s
for a batch of 16. All workers run all the time; by Celery's remote control as many of them take messages as are
measured, so one worker and 32 are measured by turns. A rate is the slope of the straight line through what was done
over some seconds in the middle of a large job, which is then cancelled: beginnings and ends of jobs are not in it.
Captions are counted where they are written; workers save them in portions, a few seconds apart.

python -m benchmarks.scale [--quick] [--json]
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx
import redis
from pydantic import SecretStr

from benchmarks.measure import Row, arguments, tell
from benchmarks.scale_stage import put_in, through
from benchmarks.served import HOST, Served, served
from services.local.redis import free_port
from services.local.supervisor import Process, Supervisor
from shared.jobs.closing import cancel_job
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.stages import BATCH_IMAGES, queue
from shared.settings import Settings

BAR = 0.95
WORKERS, QUICK_WORKERS = 32, 4
PAIRS = 2
STEPS = (2, 4, 8, 16)
JOBS = 8  # in the rows with several
CAPTION_SECONDS, BATCH_SECONDS = 1.0, 0.5
# Work that began together ends together, so it is done in steps. A slope over n steps is wrong by one part of n * n.
CAPTIONS_FOR, STAGE_FOR, SETTLE_SECONDS = 12.0, 6.0, 2.0
SHORTER = 0.5  # of those times, for what only shows the way from one to all
# No worker may run out of images while it is measured.
CAPTIONS_A_WORKER, IMAGES_A_WORKER, AT_THE_DOOR = 60, 640, 256
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120.0
QUIET_SECONDS = 1.2  # until a worker that is to take no more messages has ended the question that it asked Redis last
STAND_IN = [sys.executable, "-m", "benchmarks.scale_stage"]
CAPTIONING = [sys.executable, "-m", "workers.captioning"]
Count = Callable[[], int]
Rate = Callable[[int, int, float], float]  # of so many workers, on so many jobs, for a share of the seconds
Measured = dict[tuple[int, int], list[float]]  # rates by the numbers of workers and jobs


@dataclass(frozen=True)
class System:
    """A facemem that has no workers yet."""

    served: Served
    connections: Connections

    def process(self, name: str, argv: Sequence[str], **told: str) -> Process:
        """A process of it, that is told something beside the addresses."""
        return Process(name, argv, self.served.logs / f"{name}.log", {**self.served.environment, **told})


@contextmanager
def system(folder: Path) -> Iterator[System]:
    """Servers and the dispatcher, as long as the block lasts."""
    with served(folder) as parts:
        settings = Settings(
            database_url=SecretStr(parts.database),
            broker_url=SecretStr(parts.environment["FACEMEM_BROKER_URL"]),
            storage_url=parts.environment["FACEMEM_STORAGE_URL"],
        )
        running = System(parts, Connections.of(settings))
        parts.supervisor.start(running.process("dispatcher", [sys.executable, "-m", "workers.dispatcher"]))
        yield running
        running.connections.database.dispose()


class Crew:
    """Workers of one stage, of which as many take messages as are asked to."""

    def __init__(self, running: System, stage: Stage, before_drain: Callable[[bool], object] = bool) -> None:
        """`before_drain` is told True when work may go faster because it is not measured, and False when it may not."""
        self._running = running
        self._stage = stage
        self._hurry = before_drain
        self._control = running.connections.celery.control
        self._redis = redis.Redis.from_url(running.served.environment["FACEMEM_BROKER_URL"])
        self._known: dict[str, str] = {}  # what Celery calls them, by name
        self._taking: set[str] = set()  # those of them that take messages

    def start(self, supervisor: Supervisor, names: Sequence[str], argv: Sequence[str], **told: str) -> None:
        """Start workers of these names, and return when they answer."""
        supervisor.start(*(self._running.process(name, [*argv, "--name", name], **told) for name in names))

        def ready() -> bool:
            called = [worker for answer in self._control.ping(timeout=1.0) for worker in answer]
            self._known |= {name: worker for worker in called if (name := worker.split("@")[0]) in names}
            return self._known.keys() >= set(names)

        supervisor.await_ready(names[0], ready, PATIENCE_SECONDS)
        self._taking |= {self._known[name] for name in names}

    def rate(
        self, names: Sequence[str], images: int, seconds: float, count: Count | None = None, jobs: int = 1
    ) -> float:
        """What these workers do in a second. `count` says how much was done; without it, images are counted."""
        connections = self._running.connections
        self._let_take(names)
        put = [put_in(connections, self._stage, images // jobs) for _ in range(jobs)]
        sleep(SETTLE_SECONDS)
        began = monotonic()
        looked: list[float] = []
        done: list[float] = []
        while monotonic() < began + seconds:
            done.append(count() if count else through(connections.database, self._stage, put))
            looked.append(monotonic())
            sleep(POLL_SECONDS)
        passed = through(connections.database, self._stage, put)
        for job in put:
            with connections.database.begin() as connection:
                cancel_job(connection, job)
        self._drain()
        slope = linear_regression(looked, done).slope
        if not slope or passed == images:
            raise RuntimeError(f"{passed} of {images} images came through, {slope:.2f} a second")
        print(f"{self._stage}: {len(names)} workers, {jobs} jobs: {slope:.2f} a second", file=sys.stderr, flush=True)
        return slope

    def _let_take(self, names: Sequence[str]) -> None:
        """From now on exactly these take messages."""
        wanted = {self._known[name] for name in names}
        for command, workers in (("add_consumer", wanted - self._taking), ("cancel_consumer", self._taking - wanted)):
            for priority in Priority if workers else ():
                called = {"queue": queue(self._stage, priority)}
                answers = self._control.broadcast(
                    command, called, destination=sorted(workers), reply=True, timeout=30.0, limit=len(workers)
                )
                if len(answers or ()) < len(workers):
                    raise TimeoutError(f"{len(answers or ())} of {len(workers)} workers answered {command}")
        self._taking = wanted
        sleep(QUIET_SECONDS)

    def _drain(self) -> None:
        """Return when no message waits, and no worker has one in hand."""
        self._hurry(True)
        until = monotonic() + PATIENCE_SECONDS
        inspect = self._control.inspect(list(self._known.values()), timeout=2.0, limit=len(self._known))
        messages = queue(self._stage, Priority.BULK)
        while self._redis.llen(messages) or any((inspect.active() or {"nobody answers": [1]}).values()):
            if monotonic() > until:
                raise TimeoutError("workers do not come to an end")
            sleep(POLL_SECONDS)
        self._hurry(False)


def captions(running: System, quick: bool) -> list[Row]:
    """Captioning workers with one caption at once each, then one worker with as many at once as all of these."""
    workers = QUICK_WORKERS if quick else WORKERS
    port = free_port(HOST)
    server = f"http://{HOST}:{port}"
    told = {"FACEMEM_OLLAMA_URL": server, "FACEMEM_CAPTIONER": "ollama"}
    names = [f"captions-{number}" for number in range(workers)]

    def hurry(now: bool) -> None:
        httpx.put(f"{server}/seconds", content=str(0 if now else CAPTION_SECONDS), trust_env=False).raise_for_status()

    def rate(these: Sequence[str], at_once: int, jobs: int, share: float) -> float:
        images = CAPTIONS_A_WORKER * at_once + AT_THE_DOOR
        return crew.rate(these, images, CAPTIONS_FOR * share, lambda: done(server)["written"], jobs)

    with Supervisor() as supervisor:
        argv = [sys.executable, "-m", "benchmarks.slow_ollama", str(port), str(CAPTION_SECONDS)]
        supervisor.start(running.process("ollama", argv))
        supervisor.await_ready("ollama", lambda: bool(done(server)), PATIENCE_SECONDS)
        # Images that nobody took from captioning would fill their job's window.
        after = {"STAGE_STAND_IN": Stage.EMBEDDING, "STAGE_SECONDS": "0"}
        Crew(running, Stage.EMBEDDING).start(supervisor, ["embedding"], STAND_IN, **after)
        crew = Crew(running, Stage.CAPTIONING, hurry)
        crew.start(supervisor, names, CAPTIONING, FACEMEM_CAPTIONS_AT_ONCE="1", **told)
        crew.start(supervisor, ["captions-many"], CAPTIONING, FACEMEM_CAPTIONS_AT_ONCE=str(workers), **told)
        measured = ladder(lambda step, jobs, share: rate(names[:step], step, jobs, share), workers, quick)
        done(server)
        many = rate(["captions-many"], workers, 1, 1.0)
        in_hand = done(server)["most"]
    one = median(measured[1, 1])
    what = f"a captioning worker with {workers} captions at once, {CAPTION_SECONDS:g} s each"
    ratio = many / (workers * one)
    rates = (f"{many:.2f} a second", f"{workers} x {one:.2f}")
    note = f"The server had {in_hand} in hand at most"
    row = Row("scale", what, f"{workers} times a worker with one", *rates, ratio, ratio, ratio, note=note)
    return [*linear(f"captioning workers, {CAPTION_SECONDS:g} s a caption", measured), row]


def done(server: str) -> dict[str, int]:
    """How many captions the model server wrote, and how many it had in hand at most; nothing if it is not there."""
    try:
        return dict(httpx.get(f"{server}/done", trust_env=False).json())
    except httpx.HTTPError:
        return {}


def stages(running: System, quick: bool) -> list[Row]:
    """Workers of a GPU stage."""
    workers = QUICK_WORKERS if quick else WORKERS
    names = [f"gpu-{number}" for number in range(workers)]

    def rate(step: int, jobs: int, share: float) -> float:
        return crew.rate(names[:step], IMAGES_A_WORKER * step, STAGE_FOR * share, jobs=jobs)

    with Supervisor() as supervisor:
        crew = Crew(running, Stage.DETECTION)
        told = {"STAGE_STAND_IN": Stage.DETECTION, "STAGE_SECONDS": str(BATCH_SECONDS)}
        crew.start(supervisor, names, STAND_IN, **told)
        measured = ladder(rate, workers, quick)
    return linear(f"GPU workers, {BATCH_SECONDS:g} s a batch of {BATCH_IMAGES}", measured)


def ladder(rate: Rate, most: int, quick: bool) -> Measured:
    """Rates of one worker and of all by turns; of all on several jobs; and of those between."""
    if quick:
        return {(step, 1): [rate(step, 1, SHORTER)] for step in (most, 1)}
    rate(most, 1, SHORTER)  # everybody has worked once before it counts
    measured: Measured = {(1, 1): [], (most, 1): []}
    for _ in range(PAIRS):
        for step, jobs in measured:
            measured[step, jobs].append(rate(step, jobs, 1.0))
    measured[most, JOBS] = [rate(most, JOBS, 1.0)]
    return measured | {(step, 1): [rate(step, 1, SHORTER)] for step in STEPS if step < most}


def linear(what: str, measured: Measured) -> list[Row]:
    """What is reached of so many times one: by those that were measured beside each other, in the row with one job."""
    most, one = max(measured)[0], measured[1, 1]
    between = {step: rates for (step, jobs), rates in sorted(measured.items()) if jobs == 1 and 1 < step < most}
    rows = []
    for jobs in (jobs for workers, jobs in sorted(measured) if workers == most):
        rates = measured[most, jobs]
        singles = one if len(one) == len(rates) else [median(one)]
        reached = [rate / (most * single) for single, rate in zip(singles, rates, strict=True)]
        steps = [f"{step} workers: {median(found) / (step * median(one)):.3f}" for step, found in between.items()]
        rows.append(
            Row(
                "scale",
                f"{most} {what}, {jobs} job{'s' * (jobs > 1)}",
                f"{most} times one",
                f"{median(rates):.1f} a second",
                f"{most} x {median(one):.2f}",
                median(reached),
                min(reached),
                max(reached),
                BAR,
                note=", ".join(steps) if jobs == 1 else "As many of their images may wait as are at work",
            )
        )
    return rows


def main() -> None:
    """Print how far from linear it is."""
    asked = arguments(__doc__)
    with TemporaryDirectory(prefix="s") as folder, system(Path(folder)) as running:
        rows = [*captions(running, asked.quick), *stages(running, asked.quick)]
    tell(rows, asked.json, ("celery", "redis", "psycopg"))


if __name__ == "__main__":
    main()
