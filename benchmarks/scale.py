"""Does throughput grow linearly with workers? Captions by a model server that takes 1 s for each, and GPU stages.

Everything of facemem is real: PostgreSQL, Redis, the dispatcher, one Celery process for each worker, on loopback. Only
what would compute elsewhere is not: the model server is `slow_ollama`, a GPU stage is `scale_stage`, which takes 0.5 s
for a batch of 16. All workers run all the time; by Celery's remote control as many of them take messages as are
measured, so one worker and 32 are measured by turns. A rate is taken between the moments when 10 % and 90 % of the
images are through: before and after that is how a job begins and ends.

python -m benchmarks.scale [--quick] [--json]
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx

from benchmarks.measure import Row, arguments, tell
from benchmarks.scale_stage import put_in, through, until_closed
from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis, free_port
from services.local.supervisor import Process, Supervisor
from shared.database.migrate import upgrade
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.stages import PLANS, queue
from shared.settings import Settings

BAR = 0.95
WORKERS, QUICK_WORKERS = 32, 8
PAIRS = 2
CAPTION_SECONDS, QUICK_CAPTION_SECONDS = 1.0, 0.5
BATCH_SECONDS = 0.5
# Batches for each worker: odd multiples of five. Workers that began together end their batches together, so images come
# through in rounds; of so many rounds, both 10 % and 90 % lie in the middle of one, and what is between is whole rounds.
CAPTION_ROUNDS, STAGE_ROUNDS = 5, 15
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 180.0
QUIET_SECONDS = 2.0  # until a worker that was told to take no more messages has ended the question it asked Redis last
STAND_IN = [sys.executable, "-m", "benchmarks.scale_stage"]
CAPTIONING = [sys.executable, "-m", "workers.captioning"]
Ladder = dict[int, list[float]]  # images a second by the number of workers


@dataclass(frozen=True)
class Parts:
    """What is the same for all workers: servers that run, how processes are told of them, where these write logs."""

    connections: Connections
    environment: dict[str, str]
    logs: Path

    def process(self, name: str, argv: Sequence[str], **told: str) -> Process:
        """A process that knows of the servers, and what it is told beside."""
        return Process(name, argv, self.logs / f"{name}.log", {**self.environment, **told})


@contextmanager
def parts(folder: Path) -> Iterator[Parts]:
    """PostgreSQL, Redis and the dispatcher, as long as the block lasts."""
    logs = folder / "logs"
    logs.mkdir()
    with Supervisor() as supervisor:
        sockets = socket_folder(folder / "sockets")
        places = {
            "database_url": Postgres(folder / "postgres", sockets, logs / "postgres.log").start(supervisor),
            "broker_url": Redis(folder, logs / "redis.log").start(supervisor),
            "storage_url": f"folder:{folder / 'objects'}",
        }
        upgrade(places["database_url"])
        connections = Connections.of(Settings.model_validate(places))
        running = Parts(connections, {f"FACEMEM_{name.upper()}": place for name, place in places.items()}, logs)
        supervisor.start(running.process("dispatcher", [sys.executable, "-m", "workers.dispatcher"]))
        yield running
        connections.database.dispose()


class Crew:
    """Workers of one stage, of which as many take messages as are asked to."""

    def __init__(self, running: Parts, stage: Stage) -> None:
        self._running = running
        self._stage = stage
        self._control = running.connections.celery.control
        self._known: dict[str, str] = {}  # what Celery calls them, by name
        self.batch_images = PLANS[stage].batch_images

    def start(self, supervisor: Supervisor, names: Sequence[str], argv: Sequence[str], **told: str) -> None:
        """Start workers of these names, and return when they answer."""
        supervisor.start(*(self._running.process(name, [*argv, "--name", name], **told) for name in names))

        def ready() -> bool:
            called = [worker for answer in self._control.ping(timeout=1.0) for worker in answer]
            self._known |= {name: worker for worker in called if (name := worker.split("@")[0]) in names}
            return self._known.keys() >= set(names)

        supervisor.await_ready(names[0], ready, PATIENCE_SECONDS)

    def take_turns(self, names: Sequence[str]) -> None:
        """From now on exactly these take messages."""
        wanted = {self._known[name] for name in names}
        others = set(self._known.values()) - wanted
        for priority in Priority:
            self._tell("add_consumer", wanted, queue(self._stage, priority))
            self._tell("cancel_consumer", others, queue(self._stage, priority))
        sleep(QUIET_SECONDS)

    def _tell(self, command: str, workers: set[str], name: str) -> None:
        if not workers:
            return
        answers = self._control.broadcast(
            command, {"queue": name}, destination=sorted(workers), reply=True, timeout=30.0, limit=len(workers)
        )
        if len(answers or ()) < len(workers):
            raise TimeoutError(f"{len(answers or ())} of {len(workers)} workers answered {command}")

    def rate(self, names: Sequence[str], images: int, jobs: int = 1) -> float:
        """Images a second that these workers bring through the stage, without the first and the last tenth."""
        self.take_turns(names)
        connections = self._running.connections
        put = [put_in(connections, self._stage, images // jobs) for _ in range(jobs)]
        first, last = 0.1 * images, 0.9 * images
        until, began = monotonic() + PATIENCE_SECONDS, 0.0
        while (done := through(connections.database, self._stage, put)) < last:
            if not began and done >= first:
                began = monotonic()
            if monotonic() > until:
                raise TimeoutError(f"{done} of {images} images are through")
            sleep(POLL_SECONDS)
        found = (last - first) / (monotonic() - began)
        until_closed(connections.database, put, PATIENCE_SECONDS)
        print(f"{self._stage}, {len(names)} workers: {found:.2f} images a second", file=sys.stderr, flush=True)
        return found

    def ladder(self, names: Sequence[str], share: int, quick: bool) -> Ladder:
        """The rates of 1, 2, 4, ... of these, each with `share` images; of one and of all by turns."""
        most = len(names)
        steps = [1, most] if quick else [1, most] * PAIRS + [step for step in (2, 4, 8, 16) if step < most]
        found: Ladder = {}
        for step in steps:
            found.setdefault(step, []).append(self.rate(names[:step], share * step))
        return found


def captions(running: Parts, quick: bool) -> list[Row]:
    """Captioning workers with one caption at once each, then one worker with as many at once as all of these."""
    workers = QUICK_WORKERS if quick else WORKERS
    seconds = QUICK_CAPTION_SECONDS if quick else CAPTION_SECONDS
    port = free_port("127.0.0.1")
    server = f"http://127.0.0.1:{port}"
    told = {"FACEMEM_OLLAMA_URL": server, "FACEMEM_CAPTIONER": "ollama"}
    names = [f"one-at-once-{number}" for number in range(workers)]
    with Supervisor() as supervisor:
        argv = [sys.executable, "-m", "benchmarks.slow_ollama", str(port), str(seconds)]
        supervisor.start(running.process("ollama", argv))
        supervisor.await_ready("ollama", lambda: most_in_hand(server) is not None, PATIENCE_SECONDS)
        # Images that nobody took from captioning would fill their job's window.
        next_stage = Crew(running, Stage.EMBEDDING)
        next_stage.start(supervisor, ["embedding"], STAND_IN, STAGE_STAND_IN=Stage.EMBEDDING, STAGE_SECONDS="0")
        crew = Crew(running, Stage.CAPTIONING)
        crew.start(supervisor, names, CAPTIONING, FACEMEM_CAPTIONS_AT_ONCE="1", **told)
        crew.start(supervisor, ["many-at-once"], CAPTIONING, FACEMEM_CAPTIONS_AT_ONCE=str(workers), **told)
        crew.rate(names, crew.batch_images * workers)  # everybody has worked once before it counts
        share = CAPTION_ROUNDS * crew.batch_images
        most_in_hand(server)
        ladder = crew.ladder(names, share, quick)
        at_once = most_in_hand(server)
        crew.rate(["many-at-once"], crew.batch_images * workers)
        many = [crew.rate(["many-at-once"], share * workers)]
        many_at_once = most_in_hand(server)
    what = f"captioning workers, {seconds:g} s a caption"
    one_worker = Row(
        "scale",
        f"one captioning worker with {workers} captions at once, {seconds:g} s a caption",
        f"{workers} times a worker with one",
        f"{median(many):.2f} images a second",
        f"{workers} x {median(ladder[1]):.2f}",
        *spread([many_rate / (workers * one) for many_rate in many for one in ladder[1]]),
        note=f"The server had {many_at_once} in hand at most",
    )
    return [linear(what, ladder, f"the server had {at_once} in hand at most"), one_worker]


def most_in_hand(server: str) -> int | None:
    """How many captions the model server had in hand at most since this was last asked; None if it is not there."""
    try:
        return int(httpx.get(f"{server}/most", trust_env=False).json()["most"])
    except httpx.HTTPError:
        return None


def stages(running: Parts, quick: bool) -> list[Row]:
    """Workers of a GPU stage: all on one job, then on jobs that have room for all of them together."""
    workers = QUICK_WORKERS if quick else WORKERS
    names = [f"gpu-{number}" for number in range(workers)]
    with Supervisor() as supervisor:
        crew = Crew(running, Stage.DETECTION)
        told = {"STAGE_STAND_IN": Stage.DETECTION, "STAGE_SECONDS": str(BATCH_SECONDS)}
        crew.start(supervisor, names, STAND_IN, **told)
        crew.rate(names, crew.batch_images * workers)
        share = STAGE_ROUNDS * crew.batch_images
        ladder = crew.ladder(names, share, quick)
        jobs = 4
        spread_out = [crew.rate(names, share * workers, jobs) for _ in ladder[workers]]
    what = f"GPU workers, {BATCH_SECONDS:g} s a batch of {crew.batch_images}"
    window = running.connections.settings.window_per_job
    return [
        linear(f"{what}, one job", ladder, f"at most {window} images of a job are on their way"),
        linear(f"{what}, {jobs} jobs", {1: ladder[1], workers: spread_out}, f"{window} images of each job"),
    ]


def linear(what: str, ladder: Ladder, note: str) -> Row:
    """What is reached of so many times one, by those that were measured beside each other."""
    most = max(ladder)
    between = {step: median(rates) for step, rates in sorted(ladder.items()) if 1 < step < most}
    one = median(ladder[1])
    steps = ", ".join(f"{step}: {rate / (step * one):.3f}" for step, rate in between.items())
    return Row(
        "scale",
        f"{most} {what}",
        f"{most} times one",
        f"{median(ladder[most]):.1f} images a second",
        f"{most} x {one:.2f}",
        *spread([rate / (most * single) for single, rate in zip(ladder[1], ladder[most], strict=True)]),
        bar=BAR,
        note="; ".join([f"10 % to 90 % of the images; {note}", *([f"of linear with {steps}"] if steps else [])]),
    )


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, the least and the greatest."""
    return median(values), min(values), max(values)


def main() -> None:
    """Print how far from linear it is."""
    asked = arguments(__doc__)
    with TemporaryDirectory(prefix="s") as folder, parts(Path(folder)) as running:
        rows = [*captions(running, asked.quick), *stages(running, asked.quick)]
    tell(rows, asked.json, ("celery", "redis", "psycopg"))


if __name__ == "__main__":
    main()
