"""Running a worker: a Celery worker process for one stage, with that stage's models loaded once, before it listens."""

import argparse
import socket
from collections.abc import Callable
from uuid import UUID

import structlog

from shared import logs
from shared.jobs.delivery import Batch
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Save, Work, run_stage
from shared.pipeline.side_by_side import SideBySide
from shared.pipeline.stages import PLANS, queue
from shared.pipeline.watchdog import Watchdog
from shared.settings import Settings, settings

log = structlog.get_logger()

Build = Callable[[Connections], tuple[Work, Save]]


def main(stage: Stage, build: Build, at_once: Callable[[Settings], int | None] = lambda _: None) -> None:
    """The whole of a worker's `__main__`: connect, build the work, listen to the stage's queues until told to stop.

    at_once: how many batches it has in hand, if the settings say other than the stage's plan.
    """
    parser = argparse.ArgumentParser(prog=f"python -m workers.{stage}", description=f"A worker of the {stage} stage.")
    parser.add_argument("--name", default=stage, help="how it is called in Flower and in logs")
    arguments = parser.parse_args()
    configured = settings()
    logs.configure(configured)
    connections = Connections.of(configured)
    work, save = build(connections)
    plan = PLANS[stage]
    watchdog = Watchdog(connections, stage)
    hands = SideBySide()

    @connections.celery.task(name=plan.task)
    def ring(batch_id: str, image_ids: list[int], alone: bool = False) -> None:
        with watchdog.at_work(), hands.alone() if alone else hands.with_others():
            run_stage(connections, Batch(stage, UUID(batch_id), tuple(image_ids)), work, save)

    watchdog.start()
    log.info("worker_ready", stage=stage, name=arguments.name)
    connections.celery.worker_main(
        [
            "worker",
            f"--hostname={arguments.name}@{socket.gethostname()}",
            f"--queues={','.join(queue(stage, priority) for priority in Priority)}",
            "--pool=threads",
            f"--concurrency={at_once(configured) or plan.at_once}",
            f"--loglevel={configured.log_level}",
            "--without-mingle",
            "--without-gossip",
            "--events",
        ]
    )
