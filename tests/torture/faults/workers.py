"""What happens to workers.

A kill ends the whole of a worker: with `--pool=threads` it is one process, whose batches are threads of it; Celery has
no child that could die alone. What decodes is a child, and is killed alone as well.
"""

import resource
import signal
from contextlib import suppress
from random import Random
from time import sleep
from uuid import UUID

import psutil

from shared.jobs.states import Stage
from tests.torture.faults.in_hand import at_each_stage, lost, strike
from tests.torture.faults.table import Act, Fault
from tests.torture.torture import Torture

PAST_LEASE_SECONDS = 3.0  # longer than the lease of a batch
SHORT_OF_MEMORY_SECONDS = 0.4
DECODING_SECONDS = 0.5
COMPUTE = (Stage.DETECTION, Stage.EMBEDDING, Stage.SCORING)


def killed(stage: Stage) -> Act:
    """All workers of a stage are killed in mid-batch."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            for name in torture.machine.workers(stage):
                torture.machine.kill(name)
            return lost(stage, torture, job)

        strike(stage, torture, rng, blow)

    return act


def decoders_killed(torture: Torture, rng: Random) -> None:
    """The processes that decode for the detection workers are killed while each worker waits for one."""

    def blow(job: UUID) -> bool:
        workers = [psutil.Process(torture.machine.pid(name)) for name in torture.machine.workers(Stage.DETECTION)]
        decoders = [child for worker in workers for child in worker.children()]
        try:
            for decoder in decoders:
                decoder.suspend()
            sleep(DECODING_SECONDS)  # so that what workers have in hand at the end of it waits for one of these
            return bool(decoders) and bool(torture.in_hand(Stage.DETECTION, job))
        finally:
            for decoder in decoders:
                with suppress(psutil.NoSuchProcess):
                    decoder.kill()

    strike(Stage.DETECTION, torture, rng, blow)


def soft_shutdown(stage: Stage) -> Act:
    """A worker is asked to stop, and stops as it likes to."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            torture.machine.kill(rng.choice(torture.machine.workers(stage)), signal.SIGTERM)
            return bool(torture.in_hand(stage, job))

        strike(stage, torture, rng, blow)

    return act


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
    stage = rng.choice(COMPUTE)

    def blow(job: UUID) -> bool:
        met = False
        for name in torture.machine.workers(stage):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(torture.machine.pid(name))
                _, hard = process.rlimit(resource.RLIMIT_AS)
                process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms, hard))
                try:
                    met |= bool(torture.in_hand(stage, job))
                    sleep(SHORT_OF_MEMORY_SECONDS)
                finally:  # also where another fault has taken the database away
                    process.rlimit(resource.RLIMIT_AS, (hard, hard))
        return met

    strike(stage, torture, rng, blow)


def poison(torture: Torture, rng: Random) -> None:
    """One image kills every worker that looks at it, and another is broken; their neighbours go on."""
    torture.submit(rng, killing=1, breaking=1)


def thawed(stage: Stage) -> Act:
    """A worker stands still until its images are somebody else's, then goes on as if nothing had been."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            with torture.machine.frozen(rng.choice(torture.machine.workers(stage))):
                sleep(PAST_LEASE_SECONDS)
            return lost(stage, torture, job)

        strike(stage, torture, rng, blow)

    return act


def killed_anywhere(torture: Torture, rng: Random) -> None:
    """The workers of one stage are killed."""
    killed(rng.choice(list(Stage)))(torture, rng)


FAULTS = [
    *(Fault(f"kill -9 of the {stage} workers in mid-batch", 60, killed(stage)) for stage in Stage),
    Fault("kill -9 of what decodes, in mid-decode", 30, decoders_killed),
    Fault("soft shutdown of a worker", 34, at_each_stage(soft_shutdown)),
    Fault("rolling restart of all workers", 33, rolling_restart),
    Fault("a worker out of memory", 33, out_of_memory, may_fail=True),
    Fault("an image that kills its worker, and a broken one", 30, poison, alone=True),
    Fault("worker frozen past its lease, then thawed", 50, at_each_stage(thawed)),
]

# For a machine on which workers disagree about the time. What they lose shows that leases do not depend on it.
WRONG_CLOCKS = Fault("worker clocks off by an hour", 20, killed_anywhere)
