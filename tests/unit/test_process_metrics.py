"""What a process tells of itself, from its first scrape on."""

import subprocess
import sys

from shared import metrics
from shared.jobs.states import Stage
from tests.scraping import here, value


def test_what_a_dispatcher_may_fail_is_there_before_it_fails() -> None:
    """Or the first of each would be in no rate."""
    metrics.dispatcher_begins([Stage.INTAKE])
    born = {
        (each.labels["reason"], each.labels["outcome"])
        for each in here()
        if each.name == "facemem_failures_total" and each.labels["stage"] == "intake"
    }
    assert born >= {("worker_lost", "failed"), ("deadline_passed", "failed")}


def test_memory_is_of_a_process_and_its_children() -> None:
    """A real child that takes 100 MB, as the one that decodes photographs does."""
    hold = "held = bytearray(b'x') * 100_000_000; print('held', flush=True); input()"
    before = value(here(), "facemem_memory_bytes")
    child = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert 90e6 < value(here(), "facemem_memory_bytes") - before < 150e6
        child.kill()
    assert abs(value(here(), "facemem_memory_bytes") - before) < 30e6
