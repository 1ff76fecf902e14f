"""The checker itself, on a running system with a fault: what that breaks is told, by the promise that it breaks.

Faults that only a model can see are not here: of what happens on the way, the end of a job shows little.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest

from services.client import Facemem
from shared.jobs.states import Stage
from shared.pipeline.stages import QUEUES
from tests.torture.conftest import machine_folder, tortured
from tests.torture.machine import PLANTED, machine
from tests.torture.repetitions import SEED, times
from tests.torture.torture import MAX_ATTEMPTS, Torture

USUAL = 3  # of the cases are tried always, all of them in full
END_SECONDS, LAST_SECONDS = 20.0, 2.0
POISON_SECONDS = 90.0


class Case(NamedTuple):
    """A fault, the promise that it breaks, and what has to happen for that."""

    fault: str
    promise: str
    act: Callable[[Torture], None]


@pytest.fixture(scope="module")
def torture() -> Iterator[Torture]:
    with machine_folder() as home, machine(home, workers=1, planted=True) as running, tortured(running) as made:
        yield made


def submitted(torture: Torture) -> None:
    torture.submit(Random(SEED))


def by_links(torture: Torture) -> None:
    """Five stages, where files have four."""
    torture.submit_links()


def broken_image(torture: Torture) -> None:
    torture.submit(Random(SEED), breaking=1)


def poisoned(torture: Torture) -> None:
    """An image kills its worker until it has failed, or once more than it may."""
    torture.submit(Random(SEED), killing=1)
    over = f"select exists (select from images where state = 'failed' or attempt > {MAX_ATTEMPTS})"
    torture.until(lambda: bool(torture.scalar(over)), POISON_SECONDS)


def cancelled(torture: Torture) -> None:
    job = torture.submit(Random(SEED))
    torture.until_running(Stage.DETECTION, job)
    torture.patiently(lambda client: client.cancel(job))


def image_deleted(torture: Torture) -> None:
    job = torture.submit(Random(SEED))
    image = int(str(torture.scalar("select min(id) from images")))

    def delete(client: Facemem) -> None:
        client.delete_image(image)

    torture.patiently(delete)
    torture.accepted[job] -= 1


def messages_lost(torture: Torture) -> None:
    submitted(torture)
    torture.until(lambda: torture.machine.redis.delete(*QUEUES) > 0)


CASES = (
    Case("a finished image stays in its worker's hand", "what has ended is held by nobody", submitted),
    Case("an end is told twice", "each end is an event, once", submitted),
    Case("cancelling leaves workers what they hold", "what has ended is held by nobody", cancelled),
    Case("counters only grow", "counters are what can be counted", submitted),
    Case("counters are overwritten", "counters are what can be counted", submitted),
    Case("a deleted image stays counted", "counters are what can be counted", image_deleted),
    Case("failed attempts leave no record", "each failure is on record", broken_image),
    Case("attempts go on counting at the next stage", "nothing is tried more often than allowed", by_links),
    Case("the message's lease is not set", "every image comes to a final state", messages_lost),
    Case("lost images keep their worker", "what has ended is held by nobody", poisoned),
    Case("lost workers cost nothing", "nothing is tried more often than allowed", poisoned),
)
CHOSEN = CASES[: max(USUAL, times(len(CASES), 0))]


def told(torture: Torture, fault: str, act: Callable[[Torture], None]) -> list[str]:
    """What the checker tells after all this was done to a system with a fault."""
    torture.forget()
    named = torture.machine.home / PLANTED
    named.write_text(fault)
    try:
        act(torture)
        torture.settle(END_SECONDS)
        return torture.broken(may_fail=False, seconds=LAST_SECONDS)
    finally:
        named.write_text("")


@pytest.mark.timeout(900)
def test_nothing_is_told_where_there_is_no_fault(torture: Torture) -> None:
    for act in (submitted, *(case.act for case in CHOSEN[USUAL:] if case.act is not submitted)):
        found = told(torture, "", act)
        assert found == [], f"{act.__name__}: {found}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.fault.replace(" ", "-"))
def test_a_planted_fault_is_told(torture: Torture, case: Case) -> None:
    found = told(torture, case.fault, case.act)
    assert any(each.startswith(case.promise) for each in found), found
