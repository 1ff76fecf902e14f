"""What happens to Postgres."""

from contextlib import ExitStack
from random import Random
from time import sleep

import psycopg

from tests.torture.faults.table import Act, Fault
from tests.torture.proxy import Fault as Network
from tests.torture.torture import Torture


def killed(torture: Torture, rng: Random) -> None:
    """Postgres is killed, recovers and comes back."""
    torture.submit(rng)
    sleep(rng.uniform(0, 1.5))
    before = torture.machine.kill("postgres")
    torture.machine.await_restart("postgres", before)
    torture.until(lambda: torture.scalar("select 1") == 1)


def exhausted(torture: Torture, rng: Random) -> None:
    """Somebody else takes every connection there is, and gives none back for a while."""
    torture.submit(rng)
    sleep(rng.uniform(0, 0.5))
    address = torture.machine.database.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with ExitStack() as taken:
        while (connection := _one_more(address)) is not None:
            taken.callback(connection.close)
        sleep(rng.uniform(0.5, 2))


def on_the_way(network: Network) -> Act:
    """The way of all of facemem to it is bad for a while, for a job under way and for one that is being submitted."""

    def act(torture: Torture, rng: Random) -> None:
        torture.submit(rng)
        with torture.submitting(torture.files(rng)):
            sleep(rng.uniform(0, 0.3))
            torture.mislead("postgres", network, rng.uniform(0.5, 3))

    return act


def reset(torture: Torture, rng: Random) -> None:
    """Every connection to it is reset, in mid-transaction too, several times; or after nothing has passed for a while.

    So it happens that a COMMIT has arrived, and nobody can know.
    """
    proxy = torture.machine.proxies["postgres"]
    torture.submit(rng)
    with torture.submitting(torture.files(rng)):
        for _ in range(rng.randint(1, 4)):
            with proxy.fault(Network(black_hole=rng.random() < 0.5)):
                sleep(rng.uniform(0.05, 0.8))
                torture.met["connections reset"] += proxy.reset()


def _one_more(address: str) -> psycopg.Connection | None:
    """Another connection, if there still is one."""
    try:
        return psycopg.connect(address)
    except psycopg.OperationalError:
        return None


FAULTS = [
    Fault("Postgres killed and restarted", 50, killed),
    Fault("Postgres without free connections", 50, exhausted),
    Fault("0.1 s to Postgres, and 0.1 s back", 30, on_the_way(Network(delay=0.1))),
    Fault("20 kB/s to and from Postgres", 30, on_the_way(Network(rate=20_000))),
    Fault("Postgres behind a black hole", 50, on_the_way(Network(black_hole=True))),
    Fault("connections to Postgres reset", 50, reset),
]
