"""What benchmarks.queue compares with: Celery's chains under a chord, Celery's messages alone, and Ray Data, each with
four stages of nothing.

The Celery workers are started as `celery --app benchmarks.queue_peers worker`.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import redis
from celery import Celery, chain, chord

from services.local.redis import Redis
from services.local.supervisor import Process, Supervisor
from shared.pipeline.stages import BATCH_IMAGES

BROKER_VARIABLE = "QUEUE_PEER_REDIS"
STAGES = 4
SECONDS, READY_SECONDS = 300, 60.0
THROUGH = "peer-images-through"  # a key of Redis
POLL_SECONDS = 0.005

# Celery's defaults, which favour speed: messages are acknowledged before the work, four are prefetched by each process.
app = Celery("peer", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get(BROKER_VARIABLE),
    result_backend=os.environ.get(BROKER_VARIABLE),
    broker_connection_retry_on_startup=True,
)


# Only the end of a chain must be known to the chord; Celery's documentation advises against storing what nobody reads.
@app.task(name="peer.step", ignore_result=True)
def step(image: int) -> int:
    """A stage that does nothing."""
    return image


@app.task(name="peer.last")
def last(image: int) -> int:
    """The last stage, which does nothing either."""
    return image


@app.task(name="peer.gathered")
def gathered(images: list[int]) -> int:
    """What the chord calls when every chain has ended."""
    return len(images)


@app.task(name="peer.send_on", ignore_result=True)
def send_on(stage: int, images: list[int]) -> None:
    """A stage that does nothing and sends some images to the next one; the last counts what has come through."""
    if stage < STAGES:
        send_on.delay(stage + 1, images)
    else:
        app.backend.client.incrby(THROUGH, len(images))


@contextmanager
def celery(folder: Path) -> Iterator[redis.Redis]:
    """A Redis and four Celery workers, as long as the block lasts."""
    folder.mkdir()
    with Supervisor() as supervisor:
        broker = Redis(folder, folder / "redis.log").start(supervisor)
        app.conf.update(broker_url=broker, result_backend=broker)
        environment = {BROKER_VARIABLE: broker}
        names = [f"worker-{number}" for number in range(STAGES)]
        supervisor.start(*(Process(name, _worker(name), folder / f"{name}.log", environment) for name in names))
        await_workers(supervisor, broker, names[0])
        yield redis.Redis.from_url(broker)


def _worker(name: str) -> list[str]:
    # Solo, because four of them were as fast here as one with four children (prefork), or faster.
    return [
        *(sys.executable, "-m", "celery", "--app", "benchmarks.queue_peers", "worker", "--pool=solo"),
        *(f"--hostname={name}@localhost", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def await_workers(supervisor: Supervisor, broker: str, name: str) -> None:
    """Return when all four workers listen; if they do not, the log of the one of this name is told."""
    client = redis.Redis.from_url(broker)

    def listen() -> bool:
        return sum(each["cmd"] == "brpop" for each in client.client_list()) >= STAGES

    supervisor.await_ready(name, listen, READY_SECONDS)
    client.close()


def chains(images: int) -> float:
    """A chain of four tasks for each image and a chord around all of them. Returns the seconds until all are done."""
    began = perf_counter()
    steps = [step.s() for _ in range(STAGES - 2)]
    result = chord((chain(step.s(image), *steps, last.s()) for image in range(images)), gathered.s()).apply_async()
    if result.get(timeout=SECONDS) != images:
        raise RuntimeError("Celery lost an image")
    return perf_counter() - began


def messages(images: int) -> float:
    """Messages of sixteen images that send each other on, and nothing is kept. Returns seconds, until the last one."""
    client, began = app.backend.client, perf_counter()
    for first in range(0, images, BATCH_IMAGES):
        send_on.delay(1, list(range(first, min(first + BATCH_IMAGES, images))))
    while int(client.get(THROUGH) or 0) < images:
        if perf_counter() - began > SECONDS:
            raise RuntimeError("Celery lost an image")
        sleep(POLL_SECONDS)
    seconds = perf_counter() - began
    client.delete(THROUGH)
    return seconds


class Nothing:
    """A stage of Ray Data that does nothing. A class, because so a stage keeps its model: it becomes an actor."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch as it is."""
        return batch


def nothing(batch: dict[str, Any]) -> dict[str, Any]:
    """The same as a function, which Ray Data may run in one task together with its neighbours."""
    return batch


@contextmanager
def ray_running(folder: Path) -> Iterator[None]:
    """Ray on this machine's cores, quiet and on loopback, as long as the block lasts. Raises ImportError."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.data import DataContext

    ray.init(
        num_cpus=len(os.sched_getaffinity(0)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=200 * 1024 * 1024,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
    )
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def ray_actors(images: int) -> float:
    """Four actors, one for each stage, that hand on blocks of sixteen images. Returns seconds, without their start.

    Ray Data starts its actors for each data set, facemem's workers are there already: what is timed begins with the
    first batch that came out, and is told for all images at the pace of those that followed.
    """
    from ray.data import ActorPoolStrategy
    from ray.data import range as images_of

    stages = images_of(images, override_num_blocks=images // BATCH_IMAGES)
    for _ in range(STAGES):
        # A fifth of a core each, so that reading has one too. Nothing competes for cores by these numbers.
        stages = stages.map_batches(Nothing, batch_size=BATCH_IMAGES, compute=ActorPoolStrategy(size=1), num_cpus=0.2)
    batches = iter(stages.iter_batches(batch_size=BATCH_IMAGES))
    first = len(next(batches)["id"])
    began = perf_counter()
    rest = sum(len(batch["id"]) for batch in batches)
    seconds = perf_counter() - began
    if first + rest != images:
        raise RuntimeError("Ray lost an image")
    return seconds * images / rest


def ray_own_blocks(images: int) -> float:
    """The same as Ray Data does it if left alone: few large blocks, all four stages in one task. Returns seconds."""
    from ray.data import range as images_of

    began = perf_counter()
    stages = images_of(images)
    for _ in range(STAGES):
        stages = stages.map_batches(nothing, batch_size=BATCH_IMAGES)
    if sum(len(batch["id"]) for batch in stages.iter_batches(batch_size=None)) != images:
        raise RuntimeError("Ray lost an image")
    return perf_counter() - began
