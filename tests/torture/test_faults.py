"""Every fault, again and again: what was accepted comes to its one end, and nothing else is there afterwards."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.conftest import missing
from tests.torture.conftest import machine_folder, tortured
from tests.torture.faults import EVERYTHING, FAULTS, WRONG_CLOCKS
from tests.torture.faults.table import Fault
from tests.torture.machine import FAKE_CLOCK, machine
from tests.torture.repetitions import BEGUN, MET, REPETITIONS, SEED, times
from tests.torture.torture import Torture

Record = Callable[[str, object], None]
MOST_SECONDS = 6 * 3600
USUAL = 0.025  # a repetition takes some ten seconds, and there are fifty faults


@pytest.mark.timeout(MOST_SECONDS)
@pytest.mark.parametrize("fault", [*FAULTS, EVERYTHING], ids=lambda fault: fault.name.replace(" ", "_"))
def test_nothing_is_lost_or_doubled(fault: Fault, torture: Torture, record_property: Record) -> None:
    repeat(fault, torture, record_property)


@pytest.mark.timeout(MOST_SECONDS)
def test_wrong_clocks_change_nothing(record_property: Record) -> None:
    """Half of the workers are an hour fast: leases are counted by the database's clock alone."""
    record_property(BEGUN, WRONG_CLOCKS.name)
    if not FAKE_CLOCK.is_file():
        missing("libfaketime (Debian: faketime)")
    with machine_folder() as home, machine(home, wrong_clocks=True) as running, tortured(running) as torture:
        maps = Path(f"/proc/{running.pid('detection-1')}/maps").read_text()
        assert str(FAKE_CLOCK) in maps, "the clock is right after all"
        repeat(WRONG_CLOCKS, torture, record_property)


def repeat(fault: Fault, torture: Torture, record: Record) -> None:
    """Do it as often as is asked for, and tell. Each time everything comes to its end, and all promises hold."""
    repetitions = times(fault.times, USUAL)
    record(BEGUN, fault.name)
    torture.met.clear()
    for number in range(repetitions):
        torture.forget()
        fault.act(torture, Random(f"{SEED} {fault.name} {number}"))
        torture.settle()
        broken = torture.broken(may_fail=fault.may_fail)
        assert not broken, f"repetition {number} with FACEMEM_SEED={SEED}:\n" + "\n".join(broken)
    assert torture.drained(), "messages are left in Redis"
    record(REPETITIONS, (fault.name, repetitions))
    record(MET, (fault.name, dict(torture.met)))
