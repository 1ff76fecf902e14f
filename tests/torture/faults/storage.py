"""What happens to object storage."""

from random import Random
from time import sleep

from tests.torture.faults.table import Act, Fault
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture

FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def misbehaving(network: Network, shortest: float, longest: float) -> Act:
    """Storage does this, for so long, while a job is under way."""

    def act(torture: Torture, rng: Random) -> None:
        torture.submit(rng)
        sleep(rng.uniform(0, 0.5))
        with torture.machine.proxies["s3"].fault(network):
            sleep(rng.uniform(shortest, longest))

    return act


FAULTS = [
    Fault("storage answers 500", 30, misbehaving(Network(answer=FAILURE, unasked=True), 0.5, 3)),
    Fault("storage takes 30 s to answer", 30, misbehaving(Network(delay=15), 1, 3)),
    Fault("storage resets in mid-body", 30, misbehaving(Network(cut_after=400), 0.5, 3)),
    Fault("storage ends answers early", 30, misbehaving(Network(cut_after=400, quietly=True), 0.5, 3)),
    Fault("storage does what it is asked, and says 500", 30, misbehaving(Network(answer=FAILURE), 0.5, 3)),
]
