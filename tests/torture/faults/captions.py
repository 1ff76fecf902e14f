"""What happens to Ollama."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import sleep
from uuid import UUID

from shared.jobs.states import Stage
from tests.ollama_server import Mode
from tests.torture.faults.in_hand import strike
from tests.torture.faults.table import Act, Fault
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture


@contextmanager
def _in_mode(torture: Torture, mode: Mode) -> Iterator[None]:
    torture.machine.ollama.mode = mode
    try:
        yield
    finally:
        torture.machine.ollama.mode = "good"


def misbehaving(mode: Mode) -> Act:
    """It does this for a while when captions are asked for."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            before = torture.machine.ollama.counts.total()
            with _in_mode(torture, mode):
                sleep(rng.uniform(0.2, 1.5))
            return torture.machine.ollama.counts.total() > before

        strike(Stage.CAPTIONING, torture, rng, blow)

    return act


def on_the_way(network: Network) -> Act:
    """The way to it is bad for a while when captions are asked for."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            torture.mislead("ollama", network, rng.uniform(0.5, 2))
            return True

        strike(Stage.CAPTIONING, torture, rng, blow)

    return act


def down(torture: Torture, rng: Random) -> None:
    """Nobody listens where it was, and what it had begun is cut off."""
    proxy = torture.machine.proxies["ollama"]
    torture.submit(rng)
    sleep(rng.uniform(0, 0.6))
    with proxy.fault(Network(refuse=True)):
        proxy.reset()
        sleep(rng.uniform(0.5, 2))


FAULTS = [
    Fault("Ollama down", 20, down),
    Fault("Ollama slow", 20, misbehaving("slow")),
    Fault("Ollama answers 503", 20, misbehaving("busy")),
    # Captions that cannot be used cost attempts: who answers nonsense four times has described nothing.
    Fault("Ollama answers garbage", 20, misbehaving("garbage"), may_fail=True),
    Fault("Ollama answers in another form", 20, misbehaving("wrong"), may_fail=True),
    Fault("Ollama hangs in mid-answer", 20, misbehaving("hanging")),
    Fault("1 kB/s to and from Ollama", 20, on_the_way(Network(rate=1000))),
    Fault("Ollama's answers falsified, every second", 20, on_the_way(Network(corrupt=2)), may_fail=True),
]
