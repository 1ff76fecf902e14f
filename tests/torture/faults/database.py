"""What happens to Postgres."""

from contextlib import ExitStack
from random import Random
from time import sleep

import psycopg

from tests.torture.faults.table import Fault
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


def _one_more(address: str) -> psycopg.Connection | None:
    """Another connection, if there still is one."""
    try:
        return psycopg.connect(address)
    except psycopg.OperationalError:
        return None


FAULTS = [
    Fault("Postgres killed and restarted", 50, killed),
    Fault("Postgres without free connections", 50, exhausted),
]
