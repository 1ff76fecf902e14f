"""What happens to workers."""

import resource
import signal
from contextlib import suppress
from random import Random
from time import sleep

import psutil

from shared.jobs.states import Stage
from tests.torture.faults.table import Act, Fault
from tests.torture.torture import Torture

PAST_LEASE_SECONDS = 3.0  # longer than the lease of a batch
SHORT_OF_MEMORY_SECONDS = 0.4


def _job_at(stage: Stage, torture: Torture, rng: Random) -> None:
    """A job that a worker of this stage has in its hands."""
    job = torture.submit_links() if stage == Stage.INTAKE else torture.submit(rng)
    torture.until_running(stage, job)


def killed(stage: Stage) -> Act:
    """All workers of a stage are killed in mid-batch."""

    def act(torture: Torture, rng: Random) -> None:
        _job_at(stage, torture, rng)
        for name in torture.machine.workers(stage):
            torture.machine.kill(name)

    return act


def soft_shutdown(torture: Torture, rng: Random) -> None:
    """A worker is asked to stop, and stops as it likes to."""
    stage = rng.choice(list(Stage))
    _job_at(stage, torture, rng)
    torture.machine.kill(rng.choice(torture.machine.workers(stage)), signal.SIGTERM)


def rolling_restart(torture: Torture, rng: Random) -> None:
    """One worker after the other is asked to stop and comes back."""
    torture.submit(rng)
    for stage in Stage:
        for name in torture.machine.workers(stage):
            before = torture.machine.kill(name, signal.SIGTERM)
            if rng.random() < 0.5:
                torture.machine.await_restart(name, before)


def out_of_memory(torture: Torture, rng: Random) -> None:
    """A worker gets no more memory for a while. What it cannot do it may say of its images."""
    stage = rng.choice([Stage.DETECTION, Stage.EMBEDDING, Stage.SCORING])
    _job_at(stage, torture, rng)
    for name in torture.machine.workers(stage):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(torture.machine.pid(name))
            _, hard = process.rlimit(resource.RLIMIT_AS)
            process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms, hard))
            sleep(SHORT_OF_MEMORY_SECONDS)
            process.rlimit(resource.RLIMIT_AS, (hard, hard))


def poison(torture: Torture, rng: Random) -> None:
    """One image kills every worker that looks at it, and another is broken; their neighbours go on."""
    torture.submit(rng, killing=1, breaking=1)


def thawed(torture: Torture, rng: Random) -> None:
    """A worker stands still until its images are somebody else's, then goes on as if nothing had been."""
    stage = rng.choice(list(Stage))
    _job_at(stage, torture, rng)
    with torture.machine.frozen(rng.choice(torture.machine.workers(stage))):
        sleep(PAST_LEASE_SECONDS)


def killed_anywhere(torture: Torture, rng: Random) -> None:
    """The workers of one stage are killed."""
    killed(rng.choice(list(Stage)))(torture, rng)


FAULTS = [
    *(Fault(f"kill -9 of the {stage} workers in mid-batch", 60, killed(stage)) for stage in Stage),
    Fault("soft shutdown of a worker", 34, soft_shutdown),
    Fault("rolling restart of all workers", 33, rolling_restart),
    Fault("a worker out of memory", 33, out_of_memory, may_fail=True),
    Fault("an image that kills its worker, and a broken one", 30, poison, alone=True),
    Fault("worker frozen past its lease, then thawed", 50, thawed),
]

# For a machine on which workers disagree about the time. What they lose shows that leases do not depend on it.
WRONG_CLOCKS = Fault("worker clocks off by an hour", 20, killed_anywhere)
