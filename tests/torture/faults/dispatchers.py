"""What happens to dispatchers. Two run all the time."""

from random import Random
from time import sleep

from tests.torture.faults.table import Fault
from tests.torture.torture import Torture


def one_killed(torture: Torture, rng: Random) -> None:
    """One of two is killed."""
    torture.submit(rng)
    sleep(rng.uniform(0, 1))
    torture.machine.kill(rng.choice(["dispatcher-1", "dispatcher-2"]))


def both_killed(torture: Torture, rng: Random) -> None:
    """Nobody lets work in, or takes it back, for a while."""
    torture.submit(rng)
    sleep(rng.uniform(0, 1))
    for name in ("dispatcher-1", "dispatcher-2"):
        torture.machine.kill(name)


FAULTS = [
    Fault("kill -9 of one of two dispatchers", 50, one_killed),
    Fault("kill -9 of both dispatchers", 50, both_killed),
]
