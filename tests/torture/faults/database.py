"""What happens to Postgres."""

from contextlib import ExitStack, suppress
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
    torture.until(lambda: _answers(torture))


def exhausted(torture: Torture, rng: Random) -> None:
    """Somebody else takes every connection there is, and gives none back for a while."""
    torture.submit(rng)
    sleep(rng.uniform(0, 0.5))
    address = torture.machine.database.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with ExitStack() as taken, suppress(psycopg.OperationalError):
        while True:
            try:
                taken.enter_context(psycopg.connect(address))
            finally:
                full = len(taken._exit_callbacks)  # type: ignore[attr-defined]
            if full > 200:
                break
        sleep(rng.uniform(0.5, 2))


def _answers(torture: Torture) -> bool:
    try:
        return torture.scalar("select 1") == 1
    except Exception:  # it is still starting
        return False


FAULTS = [
    Fault("Postgres killed and restarted", 50, killed),
    Fault("Postgres without free connections", 50, exhausted),
]
