"""Everything at random."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from time import monotonic

from tests.torture.faults.table import Fault
from tests.torture.patience import AWAY, Missed
from tests.torture.repetitions import share
from tests.torture.torture import Torture

HOUR, HALF_A_MINUTE = 3600.0, 30.0
SIDE_BY_SIDE = 2


def fault(faults: Sequence[Fault]) -> Fault:
    """All faults that can be mixed, two at a time, in an order by chance: for an hour in full, else half a minute."""
    mixed = [each for each in faults if not each.alone]

    def act(torture: Torture, rng: Random) -> None:
        until = monotonic() + (HOUR if share() == 1 else HALF_A_MINUTE)
        broken: list[BaseException] = []

        def go_on(own: Random) -> None:
            try:
                while monotonic() < until and not broken:
                    with suppress(*AWAY, Missed):  # it met the other's fault, and could not be done
                        own.choice(mixed).act(torture, own)
            except BaseException as error:
                broken.append(error)

        threads = [threading.Thread(target=go_on, args=(Random(rng.random()),)) for _ in range(SIDE_BY_SIDE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if broken:
            raise broken[0]

    return Fault("everything at random, for an hour in full", 1, act, may_fail=True)
