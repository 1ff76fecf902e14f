"""Images a second through four stages that do nothing: facemem's state machine against Celery's chains and Ray Data.

Ours is the real thing around the empty work: PostgreSQL keeps every state, the dispatcher lets work in, four worker
processes claim, conclude and pass batches on through Redis. Celery runs a chain of four tasks for each image under one
chord, on as many processes; then messages like ours, of which nothing is kept. Ray Data runs four actors that hand on
blocks of as many images. Timed from handing images in to the end of the last. Then: what the images of a job hold in
Redis at most, and what is left there afterwards.

python -m benchmarks.queue [--quick] [--json]
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from uuid import uuid4

import redis
from sqlalchemy import Engine, text

from benchmarks import queue_peers
from benchmarks.measure import Ratio, Row, arguments, by_turns, tell
from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Process, Supervisor
from shared.database.migrate import upgrade
from shared.database.session import connect
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.states import Stage
from shared.pipeline.stages import BATCH_IMAGES
from shared.settings import Settings

CELERY_BAR, RAY_BAR, BYTES_BAR, KEYS_BAR = 10.0, 2.0, 150.0, 0.0
IMAGES, QUICK_IMAGES = 1_600, 320
PAIRS, QUICK_PAIRS = 3, 1
STAGES = (Stage.DETECTION, Stage.CAPTIONING, Stage.EMBEDDING, Stage.SCORING)
WINDOW = int(Settings.model_fields["window_images"].default)
DIGEST = "0" * 64
RATE = "images a second through four empty stages"
JOB_SECONDS = 300.0
POLL_SECONDS, SAMPLE_SECONDS = 0.02, 0.005


@dataclass(frozen=True)
class Facemem:
    """A running facemem whose stages do nothing."""

    database: Engine
    redis: redis.Redis

    def through(self, images: int) -> float:
        """Take in a job of so many images and wait until it is completed. Returns the seconds that took."""
        job, began = uuid4(), perf_counter()
        with self.database.begin() as connection:
            accept(connection, NewJob(job, "describer", DIGEST), (NewImage(f"{n}.jpg") for n in range(images)))
        query = text("select state from jobs where id = :job")
        while True:
            with self.database.connect() as connection:
                if connection.execute(query, {"job": job}).scalar_one() == "completed":
                    break
            if perf_counter() - began > JOB_SECONDS:
                raise TimeoutError("the job did not end")
            sleep(POLL_SECONDS)
        seconds = perf_counter() - began
        self._check(job, images)
        return seconds

    def _check(self, job: object, images: int) -> None:
        query = text("select count(*) from images where job_id = :job and state = 'succeeded' and stage = 'scoring'")
        with self.database.connect() as connection:
            if connection.execute(query, {"job": job}).scalar_one() != images:
                raise RuntimeError("facemem lost an image")


@contextmanager
def facemem(folder: Path) -> Iterator[Facemem]:
    """Servers, the dispatcher and one worker for each stage, as long as the block lasts."""
    folder.mkdir()
    with Supervisor() as supervisor:
        url = Postgres(folder / "postgres", socket_folder(folder / "sockets"), folder / "postgres.log").start(
            supervisor
        )
        broker = Redis(folder, folder / "redis.log").start(supervisor)
        upgrade(url)
        environment = {
            "FACEMEM_DATABASE_URL": url,
            "FACEMEM_BROKER_URL": broker,
            "FACEMEM_STORAGE_URL": f"folder:{folder / 'objects'}",
        }
        commands = {str(stage): ["benchmarks.queue_stage", str(stage)] for stage in STAGES}
        commands["dispatcher"] = ["workers.dispatcher"]
        supervisor.start(
            *(
                Process(name, [sys.executable, "-m", *command], folder / f"{name}.log", environment)
                for name, command in commands.items()
            )
        )
        queue_peers.await_workers(supervisor, broker, str(STAGES[0]))
        database = connect(url)
        yield Facemem(database, redis.Redis.from_url(broker))
        database.dispose()


def main() -> None:
    """Print images a second beside each peer, then what Redis holds."""
    asked = arguments(__doc__)
    images, pairs = (QUICK_IMAGES, QUICK_PAIRS) if asked.quick else (IMAGES, PAIRS)
    with TemporaryDirectory(prefix="q") as place, facemem(Path(place) / "ours") as ours:
        folder = Path(place)
        rates, kept = against_celery(ours, folder / "celery", images, pairs)
        rates += against_ray(ours, folder / "ray", 2 * images, pairs)
    tell(rates + kept, asked.json, ("celery", "redis", "ray", "psycopg", "sqlalchemy"))


def against_celery(ours: Facemem, folder: Path, images: int, pairs: int) -> tuple[list[Row], list[Row]]:
    """The rate; and what Redis holds, in runs of their own, because looking slows Redis down."""
    with queue_peers.celery(folder) as peer:

        def chains() -> float:
            before = set(peer.keys())
            seconds = queue_peers.chains(images)
            peer.delete(*set(peer.keys()) - before)
            return seconds

        took = by_turns(lambda: ours.through(images), chains, pairs)
        alone = by_turns(lambda: ours.through(images), lambda: queue_peers.messages(images), pairs)
        our_bytes, our_keys = held(ours.redis, lambda: ours.through(images))
        peer_bytes, peer_keys = held(peer, lambda: queue_peers.chains(images))
    note = f"A message carries {BATCH_IMAGES} images here, and one there, for each stage; four worker processes each"
    nothing_kept = "What the messages cost by themselves: no states, no leases, nothing that survives a killed worker"
    rates = [
        rate("Celery, a chain of four tasks an image under one chord", images, took, CELERY_BAR, note),
        rate(f"Celery, messages of {BATCH_IMAGES} images that send each other on", images, alone, None, nothing_kept),
    ]
    return rates, [
        holding(our_bytes, peer_bytes, images),
        left(our_keys, peer_keys),
    ]


def against_ray(ours: Facemem, folder: Path, images: int, pairs: int) -> list[Row]:
    """The rate against Ray Data handing on as many images at once, and against the blocks that it makes by itself."""
    peer = f"Ray Data, four actors that hand on blocks of {BATCH_IMAGES}"
    try:
        with queue_peers.ray_running(folder):
            same = by_turns(lambda: ours.through(images), lambda: queue_peers.ray_actors(images), pairs)
            alone = by_turns(lambda: ours.through(images), lambda: queue_peers.ray_own_blocks(images), pairs)
    except ImportError:
        missing = "Ray is not installed: pip install 'facemem[bench]'."
        return [Row("queue", RATE, peer, "", "", 0, 0, 0, RAY_BAR, missing=missing)]
    note = "Ray keeps no state outside its processes; the start of its actors is not counted"
    fused = "All four stages in one process and one task, with some hundred images each: nothing is handed on"
    return [
        rate(peer, images, same, RAY_BAR, note),
        rate("Ray Data left alone: its own blocks, stages fused", images, alone, None, fused),
    ]


def rate(peer: str, images: int, took: Ratio, bar: float | None, note: str) -> Row:
    """A row of images a second."""
    ours, theirs = images / took.ours_seconds, images / took.peer_seconds
    note = f"{note}. {images:,} images"
    words = (f"{ours:,.0f} images a second", f"{theirs:,.0f}")
    return Row("queue", RATE, peer, *words, took.ratio, took.low, took.high, bar, note=note)


def held(client: redis.Redis, run: Callable[[], object]) -> tuple[int, int]:
    """How many bytes of data Redis held more than before at most while this ran, and how many keys more at the end."""
    before, most, over = set(client.keys()), 0, threading.Event()
    idle = data_bytes(client)

    def look() -> None:
        nonlocal most
        while not over.wait(SAMPLE_SECONDS):
            most = max(most, data_bytes(client) - idle)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        run()
    finally:
        over.set()
        watcher.join()
    return most, len(set(client.keys()) - before)


def data_bytes(client: redis.Redis) -> int:
    """What Redis uses for data; the buffers of connections, and of its log, are not counted."""
    return int(client.info("memory")["used_memory_dataset"])


def holding(ours: int, peer: int, images: int) -> Row:
    """The row of bytes. They are divided by all images of the job, though few have a message at any time."""
    each = ours / images
    return Row(
        "queue",
        "bytes that Redis holds at most, for each image of a job",
        "Celery",
        f"{each:,.0f} ({ours:,} in all)",
        f"{peer / images:,.0f}",
        each,
        each,
        each,
        BYTES_BAR,
        "bytes",
        at_most=True,
        note=f"{images:,} images, of which facemem lets {WINDOW} in at once: {ours / min(images, WINDOW):,.0f} each",
    )


def left(ours: int, peer: int) -> Row:
    """The row of keys."""
    note = "Celery keeps results for a day, unless told otherwise"
    words = (f"{ours:,} keys", f"{peer:,}")
    what = "keys left in Redis when the job has ended"
    return Row("queue", what, "Celery", *words, ours, ours, ours, KEYS_BAR, "keys", at_most=True, note=note)


if __name__ == "__main__":
    main()
