"""What happens to Redis, and to the messages in it."""

import threading
from random import Random
from time import monotonic, sleep

import redis

from shared.pipeline.stages import QUEUES
from tests.torture.faults.table import Fault
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture

SHARE = 0.2  # of messages that are treated badly, in each way
MEDDLE_SECONDS = 3.0


def killed(torture: Torture, rng: Random) -> None:
    """Redis is killed and started again."""
    torture.submit(rng)
    sleep(rng.uniform(0, 0.6))
    torture.machine.kill("redis")


def emptied(torture: Torture, rng: Random) -> None:
    """FLUSHALL while messages wait."""
    torture.submit(rng)
    torture.until(lambda: torture.waiting() > 0, 1)
    sleep(rng.uniform(0, 0.3))
    torture.machine.redis.flushall()


def frozen(torture: Torture, rng: Random) -> None:
    """Redis stands still for a while."""
    torture.submit(rng)
    sleep(rng.uniform(0, 0.4))
    with torture.machine.frozen("redis"):
        sleep(rng.uniform(0.5, 3))


def black_hole(torture: Torture, rng: Random) -> None:
    """Nothing reaches Redis and nothing comes back, and then every connection is lost."""
    proxy = torture.machine.proxies["redis"]
    torture.submit(rng)
    sleep(rng.uniform(0, 0.4))
    with proxy.fault(Network(black_hole=True)):
        sleep(rng.uniform(0.5, 3))
        proxy.reset()


def meddled(torture: Torture, rng: Random) -> None:
    """Of all messages some are lost, some come twice, some in another order, and some late."""
    torture.submit(rng)
    late: list[threading.Timer] = []
    until = monotonic() + MEDDLE_SECONDS
    while monotonic() < until:
        for queue in QUEUES:
            late += _meddle(torture.machine.redis, queue, rng)
        sleep(0.01)
    for timer in late:
        timer.join()


def _meddle(client: redis.Redis, queue: str, rng: Random) -> list[threading.Timer]:
    message = client.rpop(queue)  # the end at which workers take
    if message is None:
        return []
    fate = rng.random()
    if fate < SHARE:  # lost
        return []
    if fate < 2 * SHARE:  # twice
        client.rpush(queue, message, message)
    elif fate < 3 * SHARE:  # behind all others
        client.lpush(queue, message)
    elif fate < 4 * SHARE:  # late
        timer = threading.Timer(rng.uniform(0.2, 2), client.rpush, (queue, message))
        timer.start()
        return [timer]
    else:
        client.rpush(queue, message)
    return []


FAULTS = [
    Fault("Redis killed and restarted", 50, killed),
    Fault("FLUSHALL with a backlog", 50, emptied),
    Fault("Redis frozen", 50, frozen),
    Fault("Redis behind a black hole", 50, black_hole),
    Fault("messages lost, twice, in another order and late, a fifth each", 50, meddled),
]
