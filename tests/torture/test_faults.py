"""Every fault, again and again: what was accepted comes to its one end, and nothing else is there afterwards."""

from random import Random

import pytest

from tests.torture.conftest import TABLE
from tests.torture.faults import EVERYTHING, FAULTS
from tests.torture.faults.table import Fault
from tests.torture.repetitions import SEED, times
from tests.torture.torture import Torture

MOST_SECONDS = 6 * 3600


@pytest.mark.timeout(MOST_SECONDS)
@pytest.mark.parametrize("fault", [*FAULTS, EVERYTHING], ids=lambda fault: fault.name.replace(" ", "_"))
def test_nothing_is_lost_or_doubled(fault: Fault, torture: Torture, pytestconfig: pytest.Config) -> None:
    for number in range(times(fault.times)):
        torture.forget()
        fault.act(torture, Random(f"{SEED} {fault.name} {number}"))
        torture.settle()
        broken = torture.broken(may_fail=fault.may_fail)
        assert not broken, f"repetition {number} with FACEMEM_SEED={SEED}:\n" + "\n".join(broken)
    assert torture.drained(), "messages are left in Redis"
    pytestconfig.stash.setdefault(TABLE, []).append((fault.name, times(fault.times)))
