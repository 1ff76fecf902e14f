"""What happens to object storage.

Of what it sends, only the beginning of an answer is falsified: our S3 client does not verify a digest of what it reads,
since not all servers send one. That a body came whole is told by its length; that it came right, TCP and TLS see to.
"""

from random import Random
from time import sleep

from shared.storage.s3_client import READ_SECONDS
from tests.torture.faults.table import Act, Fault
from tests.torture.patience import Missed
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture

FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def misbehaving(network: Network, shortest: float, longest: float) -> Act:
    """Storage does this, for so long, while a job is under way."""

    def act(torture: Torture, rng: Random) -> None:
        torture.submit(rng)
        sleep(rng.uniform(0, 0.5))
        torture.mislead("s3", network, rng.uniform(shortest, longest))

    return act


def slow(torture: Torture, rng: Random) -> None:
    """For a while it does all that it is asked, and says so when whoever asked has given up.

    The API waits for as long as it may; a worker ends itself before that as stuck: `max_run_seconds` is less here.
    """
    proxy = torture.machine.proxies["s3"]
    torture.submit(rng)
    with torture.submitting(torture.files(rng)):
        torture.mislead("s3", Network(latency=READ_SECONDS + 1), rng.uniform(1, 3))
    if not torture.until(lambda: proxy.waited > READ_SECONDS - 1, READ_SECONDS):
        raise Missed(f"nobody waited for storage for longer than {proxy.waited:.1f} s")
    torture.met["waited for to the limit"] += 1


FAULTS = [
    Fault("storage answers 500", 30, misbehaving(Network(answer=FAILURE, unasked=True), 0.5, 3)),
    Fault("storage takes 30 s to answer", 30, slow),
    Fault("storage resets in mid-body", 30, misbehaving(Network(cut_after=400), 0.5, 3)),
    Fault("storage ends answers early", 30, misbehaving(Network(cut_after=400, quietly=True), 0.5, 3)),
    Fault("storage does what it is asked, and says 500", 30, misbehaving(Network(answer=FAILURE), 0.5, 3)),
    Fault("3 kB/s to and from storage", 30, misbehaving(Network(rate=3000), 1, 3)),
    Fault("storage falsifies every second answer", 30, misbehaving(Network(corrupt=2, beginning=b"HTTP/"), 1, 3)),
]
