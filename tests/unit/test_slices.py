"""Workers ask the kernel for long slices, and for nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.pipeline.slices import LONG_SECONDS, take_long_slices

SCHED = Path("/proc/thread-self/sched")
# A thread that is started afterwards tells what it has got: pools and engines start theirs later.
PROGRAM = """
import os, sys, threading
from pathlib import Path
from shared.pipeline import slices

def told():
    lines = dict(line.split(":") for line in Path("/proc/thread-self/sched").read_text().splitlines() if " : " in line)
    said = {name.strip(): value.strip() for name, value in lines.items()}
    print(said["se.slice"], os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), flush=True)

os.nice(int(sys.argv[1]))
if sys.argv[2] == "batch":
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
told()
slices.take_long_slices()
thread = threading.Thread(target=told)
thread.start()
thread.join()
"""


def told(niceness: int, policy: str) -> list[list[int]]:
    """Slice in nanoseconds, policy and niceness before and afterwards, of a process that began with these."""
    argv = [sys.executable, "-c", PROGRAM, str(niceness), policy]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [[int(value) for value in line.split()] for line in output.splitlines()]


def gives_slices() -> bool:
    """Whether this kernel gives slices that are asked for, and tells which it gave."""
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return release >= (6, 12) and SCHED.exists() and "se.slice" in SCHED.read_text()


@pytest.mark.skipif(not gives_slices(), reason="Linux gives slices from 6.12 on, and tells them if it is built to")
@pytest.mark.parametrize("policy", ["other", "batch"])
def test_a_worker_has_long_slices_and_stays_as_nice_as_it_was(policy: str) -> None:
    before, after = told(5, policy)
    assert after[0] == round(LONG_SECONDS * 1e9)
    assert after[1:] == before[1:]
    assert after[2] == 5


def test_other_systems_and_processors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the kernel was asked")

    monkeypatch.setattr("shared.pipeline.slices.ctypes.CDLL", refuse)
    monkeypatch.setattr("shared.pipeline.slices.platform.machine", lambda: "riscv64")
    take_long_slices()
