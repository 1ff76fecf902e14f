"""Running a worker: a Celery worker process for one stage, with that stage's models loaded once, before it listens."""

import argparse
import socket
from collections.abc import Callable
from uuid import UUID

import structlog
from celery.signals import heartbeat_sent

from shared import logs, metrics, tracing
from shared.database import schema
from shared.jobs.delivery import Batch
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Save, Work, run_stage
from shared.pipeline.side_by_side import SideBySide
from shared.pipeline.slices import take_long_slices
from shared.pipeline.stages import PLANS, queue
from shared.pipeline.task_events import TaskEvents
from shared.pipeline.watchdog import HEARTBEAT_SECONDS, Watchdog, forget_beats
from shared.settings import Settings, settings

log = structlog.get_logger()

Build = Callable[[Connections], tuple[Work, Save]]


def main(stage: Stage, build: Build, at_once: Callable[[Settings], int | None] = lambda _: None) -> None:
    """The whole of a worker's `__main__`: connect, build the work, listen to the stage's queues until told to stop.

    at_once: how many batches it has in hand, if the settings say other than the stage's plan.
    """
    parser = argparse.ArgumentParser(prog=f"python -m workers.{stage}", description=f"A worker of the {stage} stage.")
    parser.add_argument("--name", help="how it is called in Flower and in logs")
    arguments = parser.parse_args()
    take_long_slices()
    configured = settings()
    forget_beats(configured.heartbeat_file)
    name = node_name(stage, arguments.name, configured.machine)
    logs.configure(configured, arguments.name or stage)
    tracing.configure(configured, arguments.name or stage)
    metrics.worker_begins(stage)
    metrics.serve(configured)
    connections = Connections.of(configured, f"{stage} {name}")
    schema.check(connections.database)
    work, save = build(connections)
    plan = PLANS[stage]
    watchdog = Watchdog(connections, stage)
    hands = SideBySide()

    @connections.celery.task(name=plan.task)
    def ring(batch_id: str, image_ids: list[int], alone: bool = False, **_newer: object) -> None:
        # A newer version may say more in its messages; what this one knows is all that it needs.
        with hands.alone() if alone else hands.with_others(), watchdog.at_work() as getting_on:
            run_stage(connections, Batch(stage, UUID(batch_id), tuple(image_ids)), work, save, getting_on)

    connections.celery.steps["consumer"].add(TaskEvents)
    heartbeat_sent.connect(watchdog.event_loop_turns, weak=False)
    watchdog.start()
    log.info("worker_ready", stage=stage, name=name)
    connections.celery.worker_main(
        [
            "worker",
            f"--hostname={name}",
            f"--queues={','.join(queue(stage, priority) for priority in Priority)}",
            "--pool=threads",
            f"--concurrency={at_once(configured) or plan.at_once}",
            f"--loglevel={configured.log_level}",
            "--without-mingle",
            "--without-gossip",
            "--events",
            f"--heartbeat-interval={HEARTBEAT_SECONDS}",
        ]
    )


def node_name(stage: Stage, name: str | None, machine: str | None) -> str:
    """How a worker is called, `what@where`: two of one name could not be told apart, nor could Celery.

    A container's host name is its own, so it stands for the machine unless that has a name; then it tells those on one
    machine apart.
    """
    host = socket.gethostname()
    if machine is None:
        return f"{name or stage}@{host}"
    return f"{name or f'{stage}-{host}'}@{machine}"
