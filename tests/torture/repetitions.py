"""How often the torture suite does what it does: in full with FACEMEM_TORTURE=full, else a small part of that.

FACEMEM_TORTURE may also be a share, as 0.5; FACEMEM_SEED repeats what an earlier run did by chance.
"""

import os
from time import time_ns

TENTH = 0.1


def share(usual: float = TENTH) -> float:
    """Which part of the repetitions is done; `usual` is what is done if nobody asks for anything."""
    asked = os.environ.get("FACEMEM_TORTURE", "")
    return 1.0 if asked == "full" else float(asked or usual)


def times(full: int, usual: float = TENTH) -> int:
    """How many repetitions are done of so many; at least one."""
    return max(1, int(full * share(usual)))


# One for the whole run, also for processes that it starts; what fails names it.
SEED = int(os.environ.setdefault("FACEMEM_SEED", str(time_ns() % 2**32)))
# Under these names a test reports its fault: that it is to be done, how often it was done, and what it met by that.
BEGUN, REPETITIONS, MET = "begun", "repetitions", "met"
