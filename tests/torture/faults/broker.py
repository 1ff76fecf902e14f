"""What happens to Redis, and to the messages in it."""

import threading
from collections import Counter
from random import Random
from time import monotonic, sleep

import redis

from shared.pipeline.stages import QUEUES
from tests.torture.faults.in_hand import TRIES
from tests.torture.faults.table import Fault
from tests.torture.patience import Missed
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture

SHARE = 0.2  # of messages that are treated badly, in each way
FATES = LOST, TWICE, BEHIND, LATE = "messages lost", "sent twice", "put behind others", "sent late"
PASSED_ON = "messages left as they were"
JOBS = 3
MEDDLE_SECONDS = 3.0
LOOK_SECONDS = 0.01


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
    """Of all messages some are lost, some come twice, some come last, and some late: one at least of each kind."""
    done: Counter[str] = Counter()
    late: list[threading.Timer] = []
    try:
        for _ in range(TRIES):
            # Several jobs at once, so that messages wait: one that a worker takes at once we cannot take before it.
            with torture.submitting(*(torture.files(rng) for _ in range(JOBS))):
                _meddle(torture, rng, done, late)
            if all(done[fate] for fate in FATES):
                return
        raise Missed(f"of messages that waited, only {dict(done)} were met")
    finally:
        torture.met.update(done)
        for timer in late:
            timer.join()


def _meddle(torture: Torture, rng: Random, done: Counter[str], late: list[threading.Timer]) -> None:
    until = monotonic() + MEDDLE_SECONDS
    while monotonic() < until:
        for queue in QUEUES:
            message = torture.machine.redis.rpop(queue)  # the end at which workers take
            if isinstance(message, bytes):
                fate = rng.choices([*FATES, PASSED_ON], [*[SHARE] * len(FATES), 1 - SHARE * len(FATES)])[0]
                done[_treat(torture.machine.redis, queue, message, fate, late, rng)] += 1
        sleep(LOOK_SECONDS)


def _treat(broker: redis.Redis, queue: str, message: bytes, fate: str, late: list[threading.Timer], rng: Random) -> str:
    """Do this to a message. Returns what was done: behind all others is nothing if there are no others."""
    if fate == TWICE:
        broker.rpush(queue, message, message)
    elif fate == BEHIND:
        fate = BEHIND if broker.lpush(queue, message) > 1 else PASSED_ON
    elif fate == LATE:
        late.append(threading.Timer(rng.uniform(0.2, 2), broker.rpush, (queue, message)))
        late[-1].start()
    elif fate == PASSED_ON:
        broker.rpush(queue, message)
    return fate


FAULTS = [
    Fault("Redis killed and restarted", 50, killed),
    Fault("FLUSHALL with a backlog", 50, emptied),
    Fault("Redis frozen", 50, frozen),
    Fault("Redis behind a black hole", 50, black_hole),
    Fault("messages lost, twice, in another order and late, a fifth each", 50, meddled),
]
